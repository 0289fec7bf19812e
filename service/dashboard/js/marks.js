/** The priority marks: shape and colour together, so that neither has to be seen alone (IEC 60601-1-8). */
import { html } from "./html.js";

const SHAPES = {
  high: html`<path d="M10 1.5 19 18 1 18Z" />`,
  medium: html`<path d="M2.5 2.5h15v15h-15Z" />`,
  low: html`<circle cx="10" cy="10" r="8" />`,
  technical: html`<path class="glyph" d="M8.4 1.5h3.2l-.6 11h-2Zm0 13.4h3.2v3.3h-3.2Z" />`,
};

const WORDS = {
  high: "high priority",
  medium: "medium priority",
  low: "low priority",
  technical: "technical: no score",
};

/** The mark of a priority; `flashing` only for a high alert that nobody has acknowledged. */
export function Mark({ kind, flashing }) {
  if (!SHAPES[kind]) return html`<span class="mark"></span>`;
  return html`<svg class=${`mark ${kind} ${flashing ? "flashing" : ""}`} viewBox="0 0 20 20" role="img"
    aria-label=${WORDS[kind]}>${SHAPES[kind]}</svg>`;
}
