/** What to do about an alert: acknowledge, judge, put aside with a reason and an end, write a note. */
import { html } from "./html.js";

const SPANS = [[30, "30 min"], [60, "1 h"], [120, "2 h"], [240, "4 h"], [480, "8 h"]];

/** Send the form's fields, and empty it once the service has taken them. */
const submit = (send) => async (event) => {
  const form = event.target;
  event.preventDefault();
  if (await send(Object.fromEntries(new FormData(form)))) form.reset();
};

const Judgement = ({ alert, judge, busy }) => html`<div class="judge" role="group" aria-label="Evaluate">
  <span>This alert was</span>
  ${["confirmed", "refuted", "unsure"].map((evaluation) => html`<button type="button" key=${evaluation} disabled=${busy}
    aria-pressed=${alert.evaluation === evaluation} onClick=${() => judge(evaluation)}>${evaluation}</button>`)}
</div>`;

const Shelve = ({ shelve, busy }) => html`<details><summary>Shelve…</summary><form onSubmit=${submit(shelve)}>
  <label>Because <input name="reason" required maxlength="200" autocomplete="off" /></label>
  <label>for <select name="minutes">${SPANS.map(([minutes, words]) => html`<option value=${minutes}>${words}</option>`)}</select></label>
  <button disabled=${busy}>Shelve</button>
</form></details>`;

const Note = ({ note, busy }) => html`<details><summary>Add a note…</summary><form onSubmit=${submit(note)}>
  <label>Note <input name="text" required maxlength="1000" autocomplete="off" /></label>
  <button disabled=${busy}>Add note</button>
</form></details>`;

/** The actions for one open alert. `answer(action, body)` resolves to whether the service took it. */
export function Actions({ alert, needsAnswer, pending, acknowledge, answer }) {
  const busy = pending === "sending";
  return html`<div class="do">
    ${needsAnswer && html`<button type="button" class="primary wide" disabled=${busy} onClick=${() => acknowledge(alert)}>
      ${busy ? "Sending…" : "Acknowledge for 4 h"} <kbd>A</kbd></button>`}
    ${busy && !needsAnswer && html`<p>Sending…</p>`}
    ${pending && !busy && html`<p class="failed" role="alert">${pending}</p>`}
    <${Judgement} alert=${alert} busy=${busy} judge=${(evaluation) => answer("evaluate", { evaluation })} />
    <${Shelve} busy=${busy} shelve=${({ reason, minutes }) => answer("shelve", { reason, minutes: Number(minutes) })} />
    <${Note} busy=${busy} note=${({ text }) => answer("note", { text })} />
  </div>`;
}
