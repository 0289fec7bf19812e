/** What one stay asks of the people on the ward: a pure reading of its tile at a moment. */
import { hourMinute, minutesSince } from "./format.js";

const RANK = { high: 0, medium: 1, low: 2 };
const [MINUTE, HOUR] = [60_000, 3_600_000];
const GRACE = 20_000; // real milliseconds that delivery and scoring may take, as long as the feed may be silent
const UNKNOWN_GAP_MINUTES = 60; // too few observations to know how often they come

/** Lower is more urgent. */
export const priorityRank = (priority) => RANK[priority] ?? 3;

export const isOpen = (alert) => Boolean(alert) && alert.closed_at === null;

const inForce = (until, now) => until === null || Date.parse(until) > now;

/** Has somebody put it aside with a reason, and has that not run out? */
export const isShelved = (alert, now) =>
  alert.suppression === "out_of_service" ||
  (alert.suppression === "shelved" && inForce(alert.shelved_until, now));

/** Is an acknowledgement in force, or has somebody judged the alert? */
export const isAnswered = (alert, now) =>
  (alert.acknowledged_at !== null && inForce(alert.acknowledgement_expires_at, now)) ||
  alert.evaluation !== "pending";

/** Does somebody have to come? */
export const needsAnswer = (alert, now) =>
  isOpen(alert) && !isShelved(alert, now) && !isAnswered(alert, now);

/** Why there is no number to trust; empty when there is one. A number nobody renewed is no number; one is due each `period`. */
export function unscored(score, now, speed, period = HOUR) {
  if (!score) return "not scored yet";
  if (score.status !== "present" || score.value === null) return score.reason || `score ${score.status}`;
  const late = now - Date.parse(score.time) > period + Math.max(period, GRACE * speed);
  return late ? `last score is of ${hourMinute(score.time, now)}, not renewed since` : "";
}

function isStale(tile, ageMinutes, speed) {
  const usual = tile.usual_gap_minutes ?? UNKNOWN_GAP_MINUTES;
  return ageMinutes === null || ageMinutes > 2 * usual + (GRACE * speed) / MINUTE;
}

/**
 * {mark: high | medium | low | technical | none, alert, needsAnswer, shelved, reason, stale, ageMinutes}.
 * `mark` is what is drawn; `reason` says why there is no score; `ageMinutes` is null without data.
 */
export function attention(tile, now, speed) {
  const alert = isOpen(tile.alert) ? tile.alert : null;
  const shelved = alert !== null && isShelved(alert, now);
  const reason = unscored(tile.score, now, speed, tile.recording ? tile.recording.segment_seconds * 1000 : HOUR);
  const ageMinutes = tile.last_data_at === null ? null : minutesSince(tile.last_data_at, now);
  const technical = reason ? "technical" : "none";
  return {
    mark: alert && !shelved ? alert.priority : technical,
    alert,
    needsAnswer: needsAnswer(alert, now),
    shelved,
    reason,
    stale: isStale(tile, ageMinutes, speed),
    ageMinutes,
  };
}

/** The stage of the answer in words, for example `acknowledged JK 14:31`. */
export function stage(alert, now) {
  if (!alert) return "";
  if (alert.suppression === "out_of_service") return "out of service";
  if (isShelved(alert, now)) return `shelved until ${hourMinute(alert.shelved_until, now)}`;
  if (alert.evaluation !== "pending") return alert.evaluation;
  if (isAnswered(alert, now)) {
    return `acknowledged ${alert.acknowledged_by} ${hourMinute(alert.acknowledged_at, now)}`;
  }
  return alert.acknowledged_at === null ? "unacknowledged" : "acknowledgement expired";
}
