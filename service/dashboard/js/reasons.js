/** Behind the reasons, asked for on demand: the observations that moved a score, and what would make it surer. */
import { useState } from "../vendor/hooks.js";
import { hourMinute, measured, outside, scoreText, unitText } from "./format.js";
import { html } from "./html.js";
import { useExplanation } from "./stay_data.js";

const [MOVED, NEXT] = [5, 3]; // entries shown: more would be a table, and nobody decides by the sixth

/** The first `most` of `items` whose number does not read as zero. */
const worthSaying = (items, number, threshold, most) =>
  items.filter((item) => Number(scoreText(number(item), threshold)) !== 0).slice(0, most);

const NONE = html`<p class="quiet">The model names none.</p>`;

function Moved({ influences, threshold, now }) {
  const told = worthSaying(influences, ({ share }) => share, threshold, MOVED);
  return html`<h3>What moved it</h3>
    ${told.length === 0 && NONE}
    <ul>${told.map(({ label, value, censored, normal, unit, time, share }, index) => html`<li key=${index}>
      <span><b>${label}</b></span>
      <span>${measured(value, censored)} ${outside(value, normal)} <small>${unitText(unit)} at ${hourMinute(time, now)}</small></span>
      <span class="share">score ${scoreText(Math.abs(share), threshold)} ${share > 0 ? "lower" : "higher"} without it</span>
    </li>`)}</ul>`;
}

function Helps({ measurements, threshold }) {
  const told = worthSaying(measurements, ({ narrows }) => narrows, threshold, NEXT);
  return html`<h3>What would help most</h3>
    ${told.length === 0 && NONE}
    <ul>${told.map(({ variable, label, narrows }) => html`<li key=${variable}>
      <span><b>${label}</b></span>
      <span class="share">would narrow the score's spread by about ${scoreText(narrows, threshold)}</span>
    </li>`)}</ul>
    <p class="quiet">The model's view of what it does not know, not an order.</p>`;
}

/** To unfold under the reasons of `score`; the model is asked when somebody opens it, and for each new score while it is open. */
export function Reasons({ stayId, score, threshold, now }) {
  const [open, setOpen] = useState(false);
  const { explanation, failure } = useExplanation(stayId, score, open);
  return html`<details class="reasons" onToggle=${(event) => setOpen(event.target.open)}>
    <summary>More reasons</summary>
    ${failure && html`<p class="reason">The model cannot be asked: ${failure}</p>`}
    ${!explanation && !failure && html`<p class="quiet">Asking the model…</p>`}
    ${explanation && html`<${Moved} influences=${explanation.influences} threshold=${threshold} now=${now} />
      <${Helps} measurements=${explanation.next_measurements} threshold=${threshold} />`}
  </details>`;
}
