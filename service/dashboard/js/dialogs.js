/** The two dialogs: whose initials sign an answer, and which keys there are. */
import { useEffect, useRef } from "../vendor/hooks.js";
import { html } from "./html.js";

function Dialog({ label, close, children }) {
  const dialog = useRef(null);
  useEffect(() => dialog.current.showModal(), []);
  return html`<dialog ref=${dialog} aria-label=${label} onClose=${close}>${children}</dialog>`;
}

/** Asks for initials; `then` is told them, for example to send the acknowledgement that needed them. */
export function InitialsDialog({ initials, close, then }) {
  const submit = (event) => {
    const given = new FormData(event.target).get("initials").trim().toUpperCase();
    event.preventDefault();
    close();
    then(given);
  };
  return html`<${Dialog} label="Your initials" close=${close}>
    <form onSubmit=${submit}>
      <h2>Your initials</h2>
      <p>They sign what you acknowledge and judge, and stay in this browser.</p>
      <input name="initials" required maxlength="8" pattern=".*\\S.*" value=${initials} autocomplete="off" autofocus
        aria-label="Initials" />
      <p class="buttons"><button class="primary">Save</button><button type="button" onClick=${close}>Cancel</button></p>
    </form>
  <//>`;
}

const KEYS = [
  ["← ↑ → ↓", "move between beds"],
  ["Enter", "open the bed"],
  ["A", "acknowledge the alert of the bed in focus"],
  ["/", "find a bed"],
  ["Esc", "back"],
  ["?", "these keys"],
];

/** Which keys there are; single letters can be switched off for speech input (WCAG 2.1.4). */
export function KeysDialog({ singleKeys, prefer, close }) {
  return html`<${Dialog} label="Keys" close=${close}>
    <h2>Keys</h2>
    <dl class="keys">${KEYS.map(([key, words]) => html`<div key=${key}><dt>${key}</dt><dd>${words}</dd></div>`)}</dl>
    <label><input type="checkbox" checked=${singleKeys}
      onChange=${(event) => prefer({ singleKeys: event.target.checked })} /> A, / and ? act as keys</label>
    <h2>Marks</h2>
    <p class="legend">▲ high · ■ medium · ● low · ! no score. Only a high alert that nobody has acknowledged flashes.
      A dashed, dimmed tile has data older than twice its usual gap.</p>
    <p class="buttons"><button type="button" class="primary" onClick=${close}>Close</button></p>
  <//>`;
}
