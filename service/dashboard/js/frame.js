/** What surrounds every page: header, the bar of a silent feed, footer. */
import { elapsed, serviceNow } from "./clock.js";
import { clockTime, scoreText, timeZone } from "./format.js";
import { html } from "./html.js";
import { unitsOf } from "./rows.js";
import { isSilent } from "./ward.js";

const newestData = (items) =>
  Math.max(...items.map(({ tile }) => Date.parse(tile.last_data_at)).filter((time) => !Number.isNaN(time)));

function Feed({ ward }) {
  const live = !isSilent(ward) && !ward.failure;
  return html`<span class=${live ? "feed live" : "feed"}>${live ? "feed live" : "feed silent"}
    <i aria-hidden="true"></i></span>`;
}

function SimulatedClock({ clock }) {
  if (!clock.simulated) return null;
  return html`<span class="badge" title="the service runs on a simulated clock">simulated ×${clock.speed}</span>`;
}

function Sound({ sound, highest, redraw }) {
  const { on, pausedSeconds } = sound.state();
  const act = (action) => () => {
    action();
    redraw();
  };
  const countdown = `${Math.floor(pausedSeconds / 60)}:${String(pausedSeconds % 60).padStart(2, "0")}`;
  return html`<button type="button" aria-pressed=${on} onClick=${act(sound.toggle)}>
      ${on ? "Sound on" : "Sound off"}</button>
    ${on && !pausedSeconds && html`<button type="button" onClick=${act(() => sound.pause(highest))}>Pause 2 min</button>`}
    ${on && pausedSeconds > 0 && html`<button type="button" class="paused" onClick=${act(sound.resume)}>
      Paused ${countdown} · resume</button>`}`;
}

/** Unit, beds, how fresh, is the feed alive; then what this browser's user can set. */
export function Header({ items, view }) {
  const { ward, preferences, prefer, openKeys, openInitials } = view;
  const newest = newestData(items);
  const other = preferences.theme === "dark" ? "light" : "dark";
  return html`<header>
    <a class="name" href="#/">Prodrome</a>
    <label class="unit">Unit <select value=${view.unit} onChange=${(event) => prefer({ unit: event.target.value })}>
      <option value="">all</option>
      ${unitsOf(view.everyone).map((unit) => html`<option key=${unit} value=${unit}>${unit}</option>`)}
    </select></label>
    <span>${items.length} ${items.length === 1 ? "bed" : "beds"}</span>
    <span>data to <b>${Number.isFinite(newest) ? clockTime(newest) : "—"}</b></span>
    <span>now <b class="now">${clockTime(serviceNow(ward.clock))}</b></span>
    <${SimulatedClock} clock=${ward.clock} />
    <${Feed} ward=${ward} />
    ${items.some(({ tile }) => tile.synthetic) && html`<span class="badge synthetic-mark">SYNTHETIC</span>`}
    <span class="tools">
      <input id="find" type="search" placeholder="Bed  /" aria-label="Find a bed" autocomplete="off"
        onInput=${view.find} onKeyDown=${view.findKey} />
      <${Sound} sound=${view.sound} highest=${view.highest} redraw=${view.redraw} />
      <button type="button" onClick=${() => openInitials(null)}>${preferences.initials || "Your initials"}</button>
      <button type="button" onClick=${() => prefer({ theme: other })}>${other === "light" ? "Light" : "Dark"}</button>
      <button type="button" aria-label="Keys" onClick=${openKeys}>?</button>
    </span>
  </header>`;
}

/** Over everything: the feed is silent, or the service refuses. The last picture stays, visibly old. */
export function Trouble({ ward }) {
  if (isSilent(ward)) {
    const since = ward.clock.base + (ward.heardAt - ward.clock.at) * ward.clock.speed;
    const seconds = Math.floor((elapsed() - ward.heardAt) / 1000);
    return html`<div class="trouble"><b role="alert">STALE since ${clockTime(since)}</b>
      <span> Nothing heard from the service for ${seconds} s. Do not rely on this picture: watch the bedside monitors.</span></div>`;
  }
  if (!ward.failure) return null;
  return html`<div class="trouble" role="alert"><b>The board could not be refreshed</b><span> ${ward.failure}</span></div>`;
}

const median = (numbers) => [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];

/** What this display is not, what computed the scores, and how late it is. */
export function Footer({ ward }) {
  const delay = ward.delays.length ? `${Math.round(median(ward.delays))} s` : "—";
  return html`<footer>
    <span><b>Not a certified medical device.</b> Secondary display without confirmed delivery: it never replaces the bedside alarm.</span>
    <span>model ${ward.model.name} <code>${ward.model.version?.slice(0, 8) ?? "has not scored yet"}</code></span>
    ${ward.policy && html`<span>policy <code>${String(ward.policy.version).slice(0, 8)}</code>, alarms at ${scoreText(ward.policy.threshold, ward.policy.threshold)}</span>`}
    <span title="median time from a measurement to this board">delay ${delay}</span>
    <span>times in ${timeZone()}</span>
  </footer>`;
}
