/** From the ward's tiles to what is on the screen: each stay read at this moment, in the order to show it. */
import { attention, priorityRank, stage } from "./attention.js";
import { elapsed, serviceNow } from "./clock.js";
import { clockTime, hourMinute, minutesSince, span } from "./format.js";

const NO_POLICY = 1; // before a worker has started there is no score to compare
const FRESH_MS = 60_000; // how long a new alert keeps its mark

const ageText = ({ ageMinutes, stale }) => {
  if (ageMinutes === null) return "no data yet";
  const age = span(ageMinutes);
  return stale ? `${age} old` : age;
};

/** Every stay that is not discharged as {tile, attention}. */
export function readWard(ward) {
  const now = serviceNow(ward.clock);
  return [...ward.stays.values()]
    .filter((tile) => !tile.discharged_at || Date.parse(tile.discharged_at) > now)
    .map((tile) => ({ tile, attention: attention(tile, now, ward.clock.speed) }));
}

/** The care units of `items`, by name. */
export const unitsOf = (items) =>
  [...new Set(items.map(({ tile }) => tile.care_unit))].filter((unit) => unit !== null).sort();

/** The unit to show: the preferred one, or "" (all) where nobody lies there now: an empty board looks calm. */
export const shownUnit = (items, preferred) => (unitsOf(items).includes(preferred) ? preferred : "");

/** What a tile shows: only words and numbers, so that an unchanged tile is recognised as unchanged. */
export function tileProperties({ tile, attention: read }, ward) {
  return {
    tile,
    mark: read.mark,
    flashing: read.needsAnswer && read.mark === "high",
    reason: read.reason,
    stale: read.stale,
    age: ageText(read),
    stage: stage(read.alert, serviceNow(ward.clock)),
    threshold: tile.recording?.threshold ?? ward.policy?.threshold ?? NO_POLICY,
  };
}

function stageText(alert, now) {
  const words = stage(alert, now);
  return words === "unacknowledged" ? `${words} ${span(minutesSince(alert.raised_at, now))}` : words;
}

// a seizure is over in a minute: its second matters, and "since" would say that it goes on
const sinceText = (alert, now) =>
  alert.condition_name === "seizure" ? clockTime(alert.raised_at) : `since ${hourMinute(alert.raised_at, now)}`;

/** What a row of the list shows. `pending` is "sending", what went wrong, or undefined. */
export function rowProperties(item, ward, pending) {
  const now = serviceNow(ward.clock);
  const { alert, needsAnswer } = item.attention;
  const arrivedAt = alert && ward.fresh.get(alert.alert_id);
  return {
    ...tileProperties(item, ward),
    alert,
    needsAnswer,
    since: alert ? sinceText(alert, now) : "",
    stage: alert ? stageText(alert, now) : "",
    old: item.attention.stale && item.attention.ageMinutes !== null ? `data ${ageText(item.attention)}` : "",
    fresh: arrivedAt !== undefined && needsAnswer && elapsed() - arrivedAt < FRESH_MS,
    pending: alert ? pending.get(alert.alert_id) : undefined,
  };
}

/** The most urgent priority that waits for an answer, or null. */
export function highestOpen(items) {
  const open = items.filter((item) => item.attention.needsAnswer).map((item) => item.attention.mark);
  return open.sort((one, other) => priorityRank(one) - priorityRank(other))[0] ?? null;
}
