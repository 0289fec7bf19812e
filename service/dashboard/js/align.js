/** Columns for the charts: every chart of a stay has the same time axis, first and last row included. */

const LATE_MS = 3_600_000; // known more than a grid hour after it was measured: its own hour was scored without it

const seconds = (time) => (typeof time === "number" ? time : Date.parse(time)) / 1000;

/** Whether a version was corrected or withdrawn: it no longer stands, and is shown crossed. */
export const isEnded = (observation) => Boolean(observation.known_until);

/** What stands of `observations`. */
export const standing = (observations) => observations.filter((observation) => !isEnded(observation));

export const isLate = (observation) => Date.parse(observation.known_at) - Date.parse(observation.time) > LATE_MS;

// null breaks a line, undefined does not: observations in between must not cut the band
function columns(rows, width, span) {
  const edge = (time) => ({ at: seconds(time), cells: Array(width).fill(null) });
  const sorted = [edge(span.from), ...rows.sort((one, other) => one.at - other.at), edge(span.to)];
  return [sorted.map((row) => row.at), ...Array.from({ length: width }, (_, column) => sorted.map((row) => row.cells[column]))];
}

/** [time, low, high, value]: nulls where there is no score or no spread, so that line and band have gaps. */
export const scoreColumns = (scores, span) =>
  columns(scores.map(({ time, value, low, high }) => ({ at: seconds(time), cells: [low ?? null, high ?? null, value] })), 3, span);

/**
 * [time, low, high, mean, prompt, late, ended] of one variable: the band where the posterior has one, then what
 * was observed, split by whether it was known in time and still stands. `band` is {time, mean, low, high} or null.
 */
export function variableColumns(observations, band, span) {
  const none = undefined;
  const kind = (observation) => (isEnded(observation) ? 2 : isLate(observation) ? 1 : 0);
  const points = observations.map((observation) => ({
    at: seconds(observation.time),
    cells: [none, none, none, ...[0, 1, 2].map((column) => (column === kind(observation) ? observation.value : null))],
  }));
  const curve = (band?.time ?? []).map((time, index) => ({
    at: seconds(time),
    cells: [band.low[index], band.high[index], band.mean[index], null, null, null],
  }));
  return columns([...points, ...curve], 6, span);
}

/** The newest of `items` (sorted by time) at or before `time` in milliseconds, or undefined. */
export function latestBefore(items, time) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Date.parse(items[middle].time) <= time) low = middle + 1;
    else high = middle;
  }
  return items[low - 1];
}
