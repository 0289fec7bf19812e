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

export const MOST_PAST = 5; // past stays laid behind a course

/** The courses of past stays in one variable: those that became septic from 0 on, the others from MOST_PAST on. */
export function pastCourses(similar, name) {
  const courses = Array(2 * MOST_PAST).fill(null);
  for (const [first, outcome] of [[0, true], [MOST_PAST, false]]) {
    const told = (similar?.similar ?? []).filter(({ septic }) => septic === outcome).slice(0, MOST_PAST);
    told.forEach(({ course }, index) => {
      if (course[name]) courses[first + index] = { time: similar.hours, value: course[name] };
    });
  }
  return courses;
}

/**
 * [time, ...past, low, high, mean, prompt, late, ended] of one variable: a column for each of `past`, {time, value}
 * or null; the band where the posterior has one; what was observed, split by whether it was known in time and still
 * stands. `band` is {time, mean, low, high} or null.
 */
export function variableColumns(observations, band, span, past = []) {
  const none = undefined;
  const others = past.map(() => none);
  const kind = (observation) => (isEnded(observation) ? 2 : isLate(observation) ? 1 : 0);
  const points = observations.map((observation) => ({
    at: seconds(observation.time),
    cells: [...others, none, none, none, ...[0, 1, 2].map((column) => (column === kind(observation) ? observation.value : null))],
  }));
  const curve = (band?.time ?? []).map((time, index) => ({
    at: seconds(time),
    cells: [...others, band.low[index], band.high[index], band.mean[index], null, null, null],
  }));
  const courses = past.flatMap((course, place) =>
    (course?.time ?? []).map((time, index) => ({
      at: seconds(time),
      cells: [...others.with(place, course.value[index]), none, none, none, null, null, null],
    })));
  return columns([...points, ...curve, ...courses], 6 + past.length, span);
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
