/** Who needs someone: open alerts, newest unanswered first, then beds the model cannot score. */
import { bedText, measured, outside, scoreText, trend, unitText } from "./format.js";
import { html, memo } from "./html.js";
import { Mark } from "./marks.js";
import { episodeText } from "./recording.js";

const Driver = ({ driver }) => html`<span class="driver">
  <b>${driver.short}</b> ${measured(driver.value, driver.censored)} ${outside(driver.value, driver.normal)}
  ${" "}<small>${unitText(driver.unit)}</small></span>`;

const raising = (drivers) => drivers.filter((driver) => driver.share > 0);

const title = (name) => name.charAt(0).toUpperCase() + name.slice(1);

// a bed may be watched for another condition than the one that alarmed: then its score is not the alert's
const isOwn = (tile, alert) => !alert || alert.condition_name === (tile.recording?.condition ?? "sepsis");

function Evidence({ tile, alert, reason }) {
  if (tile.recording) {
    const where = isOwn(tile, alert) && alert ? episodeText(tile.recording.episode) : "";
    return html`${where && html`<span class="driver">${where}</span>`} ${reason && html`<span class="reason">${reason}</span>`}`;
  }
  if (reason) return html`<span class="reason">${reason}</span>`;
  return raising(tile.drivers).map((driver) => html`<${Driver} key=${driver.variable} driver=${driver} />`);
}

const Latched = ({ alert }) => alert?.condition === "latched" && html`<span class="reason">no longer met</span>`;

/** The button's label says what the server last said: nothing is shown as done before it is. */
function Answer({ row, act }) {
  const { pending } = row;
  if (row.needsAnswer || pending) {
    return html`<button type="button" class="primary" disabled=${pending === "sending"}
      aria-label=${`Acknowledge bed ${bedText(row.tile)}`} onClick=${() => act(row.alert)}>
      ${pending === "sending" ? "Sending…" : "Acknowledge"}</button>`;
  }
  return null;
}

function shownValue({ tile, alert, reason }) {
  if (!isOwn(tile, alert)) return alert.value;
  return reason ? null : tile.score.value;
}

// of a seizure the moment and the place are told: its score now says nothing of what was
const headline = (row, threshold) =>
  row.alert && row.alert.condition_name === "seizure"
    ? title("seizure")
    : row.alert
    ? html`${title(row.alert.condition_name)}${" "}
        <b>${scoreText(shownValue(row), threshold)}</b>${" "}
        ${row.reason ? "" : trend(row.tile.change, threshold)}`
    : "No score";

/** One row. `row` is what rows.js reads from a stay: words, numbers, the tile and its alert. */
export const NeedsRow = memo(({ tile, alert, threshold, act, ...rest }) => {
  const row = { tile, alert, ...rest };
  const link = `#/stay/${encodeURIComponent(tile.stay_id)}`;
  const failed = row.pending && row.pending !== "sending";
  return html`<li class=${`row is-${row.mark} ${row.flashing ? "is-open" : ""} ${row.needsAnswer ? "" : "is-answered"}`}
      data-row=${tile.stay_id}>
    <${Mark} kind=${row.mark} flashing=${row.flashing} />
    <span class="bed">${bedText(tile)}</span>
    <span class="headline">${headline(row, threshold)}</span>
    <span class="since">${row.since}${row.fresh && html`<span class="new">new</span>`}</span>
    <span class="evidence"><${Evidence} tile=${tile} alert=${alert} reason=${row.reason} />
      <${Latched} alert=${alert} />
      ${row.old && html`<span class="reason">${row.old}</span>`}
      ${tile.synthetic && html`<span class="synthetic">synthetic</span>`}</span>
    <span class="stage">${row.stage}${failed && html`<span class="failed" role="alert">${row.pending}</span>`}</span>
    <span class="actions">
      <${Answer} row=${row} act=${act} />
      <a class="button" href=${link} data-nav data-stay=${tile.stay_id}
        aria-label=${`Open bed ${bedText(tile)}`}>Open</a>
    </span>
  </li>`;
});
