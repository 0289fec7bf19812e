/** Times, ages and numbers as the board writes them. Times are shown in the browser's time zone. */

const part = (options) => new Intl.DateTimeFormat("en-GB", options);
const MINUTES = part({ hour: "2-digit", minute: "2-digit" });
const SECONDS = part({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = part({ day: "numeric", month: "short" });
const MINUTE = 60_000;

/** The time zone every time on the page is written in, for example `Europe/Berlin`. */
export const timeZone = () => MINUTES.resolvedOptions().timeZone;

/** `14:32:05` */
export const clockTime = (time) => SECONDS.format(new Date(time));

/** `14:32`, or `21 Nov 14:32` when that is another day than `now`. */
export function hourMinute(time, now) {
  const [there, here] = [new Date(time), new Date(now ?? time)];
  const sameDay = DAY.format(there) === DAY.format(here);
  return sameDay ? MINUTES.format(there) : `${DAY.format(there)} ${MINUTES.format(there)}`;
}

/** A span in words: `<1 min`, `4 min`, `6 h`, `2 d 3 h`. */
export function span(minutes) {
  if (minutes < 1) return "<1 min";
  if (minutes < 120) return `${Math.floor(minutes)} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Minutes from `time` to `now` (milliseconds), never negative. */
export const minutesSince = (time, now) => Math.max(0, (now - Date.parse(time)) / MINUTE);

/** A score with the decimals its threshold needs; a dash where there is none, never a zero. */
export function scoreText(value, threshold) {
  if (value === null || value === undefined) return "—";
  return value.toFixed(threshold < 0.1 ? 3 : 2);
}

/** Whether the model says how far the score may lie from its number; rules do not. */
export const hasSpread = (score) => typeof score.low === "number" && typeof score.high === "number";

/** A score's spread, `(0.21 to 0.45)`; nothing where none is stated. */
export const spreadText = (score, threshold) =>
  hasSpread(score) ? `(${scoreText(score.low, threshold)} to ${scoreText(score.high, threshold)})` : "";

/** A score with its spread: `0.32 (0.21 to 0.45)`. */
export const scoreAndSpread = (score, threshold) =>
  `${scoreText(score.value, threshold)} ${spreadText(score, threshold)}`.trim();

/** A measured value to three figures at most; `<0.01` where it is only known to lie beyond a limit. */
export function measured(value, censored = "") {
  if (value === null || value === undefined) return "—";
  return `${censored}${Number(value.toPrecision(Math.abs(value) >= 1000 ? 4 : 3))}`;
}

const UNITS = { "1/min": "/min", degC: "°C", pH: "", fraction: "", "10^9/L": "10⁹/L", "ug/L": "µg/L" };

/** A unit as it is written on a ward. */
export const unitText = (unit) => UNITS[unit] ?? unit;

/** An arrow for a value outside its normal range: above, below, or nothing. */
export function outside(value, normal) {
  if (!normal || value === null || value === undefined) return "";
  if (value > normal[1]) return "↑";
  return value < normal[0] ? "↓" : "";
}

/** An arrow for a change of the score over three hours; steady below a tenth of the threshold. */
export function trend(change, threshold) {
  if (change === null || change === undefined) return "";
  if (Math.abs(change) < threshold / 10) return "→";
  return change > 0 ? "↑" : "↓";
}

/** The bed, or the stay's name where no bed is known. */
export const bedText = (stay) => stay.bed ?? stay.stay_id;
