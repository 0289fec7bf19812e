/** Patients like this one, asked for on demand: the nearest past stays, and what became of them. */
import { html } from "./html.js";

const NAMED = 2; // variables a row: where the distance comes from, not a table of it

const percent = (share) => `${Math.round(100 * share)} %`;
const hoursText = (hours) => String(Number(hours.toFixed(1)));

/** When septic ones became so, counted from the score's hour: `2 to 6 h later`. */
export function whenText(hoursToOnset) {
  const [first, last] = hoursToOnset;
  if (first !== last) return `${hoursText(first)} to ${hoursText(last)} h later`;
  return first === 0 ? "in that very hour" : `${hoursText(first)} h later`;
}

/** `3 of 5 became septic, 2 to 6 h later.` Of some that were septic from the first row on nobody knows when. */
export function sentence({ count, septic, hours_to_onset: hours }, similar) {
  if (septic === 0) return `None of ${count} became septic.`;
  const untold = similar.some((past) => past.septic && past.hours_to_onset === null);
  return `${septic} of ${count} became septic${hours ? `, ${whenText(hours)}${untold ? " where it is told" : ""}` : ""}.`;
}

/** How far apart in hours the alignment puts what it lays on each other. */
const farthest = (alignment) => Math.max(...alignment.map(([now, past]) => Math.abs(now - past)));

const stands = (stays) => (stays === 1 ? "One stay" : `Stands for ${stays} stays`);

function Row({ past }) {
  const { septic, hours_to_onset: hours, stays, distance, shares, alignment } = past;
  const moved = farthest(alignment);
  return html`<li>
    <span><i class=${`key past${septic ? " septic" : ""}`}></i>
      ${" "}<b>${septic ? `Septic${hours === null ? "" : ` ${whenText([hours, hours])}`}` : "Not septic"}</b></span>
    <span>${stands(stays)}</span>
    <span class="share">distance ${distance.toPrecision(3)}, of it ${shares.slice(0, NAMED).map(({ label, share }) =>
      `${label} ${percent(share)}`).join(", ")}; laid ${moved === 0 ? "hour on hour" : `up to ${moved} h apart`}</span>
  </li>`;
}

function Answer({ similar: { summary, references, model, similar, hours } }) {
  if (similar.length === 0) return html`<p class="quiet">Too little is known of this stay to compare it.</p>`;
  const prototypes = similar.some(({ stays }) => stays > 1);
  return html`<p><b>${sentence(summary, similar)}</b></p>
    <ul>${similar.map((past, index) => html`<${Row} key=${index} past=${past} />`)}</ul>
    <p class="quiet">Nearest of ${references.count} ${prototypes ? "prototypes, each the mean of many past stays," : "past stays"} by the
      last ${hours.length} h, laid on them by time warping; faint lines in the charts. Of all ${references.count},${" "}
      ${references.septic} became septic, more than on a ward: not a probability.</p>
    <p class="quiet">Compared by ${model.name} <code>${model.version}</code></p>`;
}

/** To unfold under the reasons; `asked` is {similar, failure}, fetched while `open`. */
export function Similar({ asked: { similar, failure }, open, setOpen }) {
  return html`<details class="similar" open=${open} onToggle=${(event) => setOpen(event.target.open)}>
    <summary>Patients like this one</summary>
    ${failure && html`<p class="reason">Past stays cannot be asked for: ${failure}</p>`}
    ${!similar && !failure && html`<p class="quiet">Looking at past stays…</p>`}
    ${similar && html`<${Answer} similar=${similar} />`}
  </details>`;
}
