/** The page: holds the ward, the preferences and the route, and draws the whole once for every change. */
import { render } from "../vendor/preact.js";
import { createAnswers } from "./answers.js";
import { Beds, createOrder, Needs } from "./board.js";
import { InitialsDialog, KeysDialog } from "./dialogs.js";
import { guardAgainstFailure } from "./failure.js";
import { findBed } from "./find.js";
import { bedText, scoreText } from "./format.js";
import { Footer, Header, Trouble } from "./frame.js";
import { createHold } from "./hold.js";
import { html } from "./html.js";
import { listenForKeys } from "./keys.js";
import { loadPreferences, savePreferences } from "./preferences.js";
import { currentRoute } from "./route.js";
import { highestOpen, readWard, shownUnit } from "./rows.js";
import { createSound } from "./sound.js";
import { StayPage } from "./stay.js";
import { createWard, isSilent } from "./ward.js";

const MOVED = "The list has just moved. If this is the bed you meant, press again.";
const root = document.getElementById("board");
const sound = createSound();
const [needsHold, bedsHold] = [createHold(), createHold()];
const page = { preferences: loadPreferences(), dialog: null, announced: "", unfolded: false };

function redraw() {
  render(html`<${Page} />`, root);
}

function change(part) {
  Object.assign(page, part);
  redraw();
}

function prefer(part) {
  page.preferences = { ...page.preferences, ...part };
  savePreferences(page.preferences);
  document.documentElement.dataset.theme = page.preferences.theme;
  redraw();
}

function arrived(alert, tile) {
  const unit = shownUnit(readWard(ward), page.preferences.unit);
  if (unit !== "" && tile.care_unit !== unit) return;
  sound.alert(alert.priority);
  const score = scoreText(alert.value, ward.policy?.threshold ?? 1);
  page.announced = `New ${alert.priority} priority alert: bed ${bedText(tile)}, ${alert.condition_name}, score ${score}`;
}

const ward = createWard({ changed: redraw, arrived });
const answers = createAnswers(ward, redraw);

/** Do `then(initials)`, asking for the initials first when this browser does not know them. */
function signed(then) {
  if (page.preferences.initials) then(page.preferences.initials);
  else change({ dialog: { kind: "initials", then } });
}

const acknowledge = (alert) => signed((by) => answers.send(alert, "acknowledge", { by, expires_minutes: 240 }));

const view = {
  ward,
  sound,
  redraw,
  prefer,
  signed,
  needsHold,
  answers,
  bedsHold,
  pending: answers.pending,
  needsOrder: createOrder(needsHold),
  bedsOrder: createOrder(bedsHold),
  act: (alert) => (needsHold.settled() ? acknowledge(alert) : answers.refuse(alert, MOVED)),
  acknowledge,
  unfold: () => change({ unfolded: true }),
  openKeys: () => change({ dialog: { kind: "keys" } }),
  openInitials: () => change({ dialog: { kind: "initials", then: () => {} } }),
  ...findBed(ward),
};

function Dialogs() {
  const close = () => page.dialog && change({ dialog: null });
  const { initials, singleKeys } = page.preferences;
  if (page.dialog?.kind === "keys") return html`<${KeysDialog} singleKeys=${singleKeys} prefer=${prefer} close=${close} />`;
  if (page.dialog?.kind !== "initials") return null;
  const { then } = page.dialog;
  const save = (given) => {
    prefer({ initials: given });
    then(given);
  };
  return html`<${InitialsDialog} initials=${initials} close=${close} then=${save} />`;
}

function title(items, unit) {
  const open = items.filter((item) => item.attention.needsAnswer).length;
  return `${open ? `(${open}) ` : ""}Prodrome${unit && ` · ${unit}`}`;
}

function Page() {
  if (!ward.loadedAt) {
    return html`<p class="loading">Prodrome: waiting for the ward (${ward.failure}). Watch the bedside monitors.</p>`;
  }
  const route = currentRoute();
  const everyone = readWard(ward);
  const unit = shownUnit(everyone, page.preferences.unit);
  const items = everyone.filter(({ tile }) => unit === "" || tile.care_unit === unit);
  document.title = title(items, unit);
  Object.assign(view, { preferences: page.preferences, unfolded: page.unfolded, highest: highestOpen(items), everyone, unit });
  return html`
    <${Header} items=${items} view=${view} />
    <${Trouble} ward=${ward} />
    <main class=${isSilent(ward) ? "is-old" : ""}>
      ${route.stay
        ? html`<${StayPage} key=${route.stay} stayId=${route.stay} asOf=${route.asOf} view=${view} />`
        : html`<${Needs} items=${items} view=${view} /><${Beds} items=${items} view=${view} />`}
    </main>
    <${Footer} ward=${ward} />
    <div class="spoken" aria-live="assertive">${page.announced}</div>
    <${Dialogs} />`;
}

function acknowledgeFocused(stayId) {
  const alert = ward.stays.get(stayId ?? currentRoute().stay)?.alert;
  if (alert) acknowledge(alert);
}

listenForKeys({
  acknowledge: acknowledgeFocused,
  find: () => document.getElementById("find")?.focus(),
  explain: view.openKeys,
  back: () => {
    if (currentRoute().stay) location.hash = "#/";
    else document.activeElement.blur();
  },
  singleKeys: () => page.preferences.singleKeys,
});

guardAgainstFailure();
// flashing in step: one ward, one rhythm
document.addEventListener("animationstart", (event) => {
  event.target.getAnimations().forEach((animation) => Object.assign(animation, { startTime: 0 }));
});
window.addEventListener("hashchange", redraw);
document.addEventListener("visibilitychange", redraw);
setInterval(redraw, 1000);
prefer({});
