/** What happened to a stay's alerts, newest first. */
import { hourMinute, scoreText } from "./format.js";
import { html } from "./html.js";

const WORDS = {
  raised: "raised",
  refired: "fired again",
  released: "condition no longer met",
  acknowledged: "acknowledged",
  acknowledgement_expired: "acknowledgement expired",
  evaluated: "judged",
  shelved: "shelved",
  unshelved: "back from the shelf",
  noted: "note",
  closed: "closed",
};

function detailText(detail, now, threshold) {
  const { value, time, evaluation, reason, text, until } = detail ?? {};
  const end = until ? `until ${hourMinute(until, now)}` : "";
  const number = typeof value === "number" ? `score ${scoreText(value, threshold)}${time ? ` of ${hourMinute(time, now)}` : ""}` : "";
  return [number, evaluation, reason, text, end].filter(Boolean).join(", ");
}

const service = (who) => !who || who === "prodrome";

/** The events of `alerts` (each with its events). */
export function History({ alerts, now, threshold }) {
  const events = alerts.flatMap((alert) => alert.events.map((event) => ({ ...event, alert })));
  const newestFirst = events.map((event, index) => [event, index]);
  newestFirst.sort(([one, i], [other, j]) => Date.parse(other.at) - Date.parse(one.at) || j - i);
  if (!events.length) return html`<p class="quiet">No alert in this stay.</p>`;
  return html`<ol class="history">${newestFirst.map(([event, index]) => html`<li key=${index}>
    <time datetime=${event.at}>${hourMinute(event.at, now)}</time>
    <span><b>${WORDS[event.kind] ?? event.kind}</b> ${service(event.by) ? "" : `by ${event.by}`}
      ${" "}${detailText(event.detail, now, threshold)}</span></li>`)}</ol>`;
}
