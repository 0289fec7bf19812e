/** Columns for the charts: every chart of a stay has the same time axis, first and last row included. */

const LATE_MS = 3_600_000; // known more than a grid hour after it was measured: its own hour was scored without it

const seconds = (time) => (typeof time === "number" ? time : Date.parse(time)) / 1000;

export const isLate = (observation) => Date.parse(observation.known_at) - Date.parse(observation.time) > LATE_MS;

// null breaks a line, undefined does not: observations in between must not cut the band
function columns(rows, width, span) {
  const edge = (time) => ({ at: seconds(time), cells: Array(width).fill(null) });
  const sorted = [edge(span.from), ...rows.sort((one, other) => one.at - other.at), edge(span.to)];
  return [sorted.map((row) => row.at), ...Array.from({ length: width }, (_, column) => sorted.map((row) => row.cells[column]))];
}

/** [time, value]: a null where there is no score, so that the line has a gap. */
export const scoreColumns = (scores, span) =>
  columns(scores.map((score) => ({ at: seconds(score.time), cells: [score.value] })), 1, span);

/**
 * [time, low, high, mean, prompt, late] of one variable: the band where the posterior has one, then what was
 * observed, split by whether it was known in time. `band` is {time, mean, low, high} or null.
 */
export function variableColumns(observations, band, span) {
  const none = undefined;
  const points = observations.map((observation) => ({
    at: seconds(observation.time),
    cells: isLate(observation)
      ? [none, none, none, null, observation.value]
      : [none, none, none, observation.value, null],
  }));
  const curve = (band?.time ?? []).map((time, index) => ({
    at: seconds(time),
    cells: [band.low[index], band.high[index], band.mean[index], null, null],
  }));
  return columns([...points, ...curve], 5, span);
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
