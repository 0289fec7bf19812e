/** In which order stays are shown, and how that order is held while a hand is on it. */
import { priorityRank } from "./attention.js";
import { bedText } from "./format.js";

const natural = new Intl.Collator("en", { numeric: true });

const byBedText = (one, other) => natural.compare(bedText(one.tile), bedText(other.tile));

// unanswered alerts, then answered ones, then stays without a score, then the rest
function group({ attention }) {
  if (attention.needsAnswer) return priorityRank(attention.mark);
  if (attention.alert && !attention.shelved) return 4;
  return attention.mark === "technical" ? 5 : 6;
}

const newest = (one, other) =>
  Date.parse(other.attention.alert.raised_at) - Date.parse(one.attention.alert.raised_at);

/** Compare two {tile, attention}: who needs somebody first. Unanswered alerts newest first, the rest by falling score. */
export function byRisk(one, other) {
  const difference = group(one) - group(other);
  if (difference !== 0) return difference;
  if (group(one) <= 3) return newest(one, other) || byBedText(one, other);
  const urgency = priorityRank(one.attention.mark) - priorityRank(other.attention.mark);
  if (urgency !== 0) return urgency;
  return (other.tile.score?.value ?? -1) - (one.tile.score?.value ?? -1) || byBedText(one, other);
}

export const byBed = byBedText;

/**
 * The order to show while a pointer or the keyboard is on the list: what was there stays where it was, what
 * is new comes first, what is gone leaves. `shown` and `wanted` are arrays of names.
 */
export function held(shown, wanted) {
  const there = new Set(shown);
  const still = new Set(wanted);
  return [...wanted.filter((name) => !there.has(name)), ...shown.filter((name) => still.has(name))];
}
