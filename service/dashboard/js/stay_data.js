/** What the stay view shows, fetched again when the feed says that the stay has changed. */
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { get } from "./api.js";
import { elapsed } from "./clock.js";

const NOT_FOUND = 404;
const AT_MOST_EVERY_MS = 3_000; // a busy feed must not fetch a whole stay with every message

function query(asOf, variables = []) {
  const parameters = new URLSearchParams(variables.map((name) => ["variable", name]));
  if (asOf) parameters.set("as_of", asOf);
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

/** Count up when `signal` changes, but not more often than every three seconds. */
function useBeat(signal, still) {
  const [beat, setBeat] = useState(0);
  const last = useRef(elapsed());
  useEffect(() => {
    if (still) return undefined;
    const wait = Math.max(0, AT_MOST_EVERY_MS - (elapsed() - last.current));
    const timer = setTimeout(() => {
      last.current = elapsed();
      setBeat((count) => count + 1);
    }, wait);
    return () => clearTimeout(timer);
  }, [signal, still]);
  return beat;
}

/**
 * Fetch `path` again whenever it or `beat` changes: {answer, failure}; the last answer stays while waiting. A
 * beat does not overtake a question that is still on its way, or a slow answer would never be seen.
 */
function useFetched(path, beat) {
  const [state, setState] = useState({ path: null, answer: null, failure: "", status: 200 });
  const [wanted, asked] = [useRef(path), useRef(null)];
  wanted.current = path;
  useEffect(() => {
    if (path === null || asked.current === path) return;
    asked.current = path;
    const settle = (change) => {
      if (asked.current === path) asked.current = null;
      if (wanted.current === path) setState((before) => ({ ...before, failure: "", status: 200, ...change }));
    };
    get(path).then(
      (answer) => settle({ path, answer }),
      ({ message, status }) => settle({ failure: message, status }),
    );
  }, [path, beat]);
  useEffect(() => () => {
    wanted.current = null;
  }, []);
  return state;
}

/** The stay as of `asOf` (null: now). An answer for another moment is never shown as this one. */
export function useStay(stayId, asOf, tile) {
  const path = `v1/stays/${encodeURIComponent(stayId)}${query(asOf)}`;
  const beat = useBeat(tile, asOf !== null);
  const state = useFetched(path, beat);
  return { detail: state.path === path ? state.answer : null, failure: state.failure, beat };
}

/** The last half hour of a live recording's segments, fetched again at each `beat`. */
export function useSegments(stayId, asOf, beat) {
  const path = `v1/stays/${encodeURIComponent(stayId)}/segment-scores${query(asOf)}`;
  const state = useFetched(path, beat);
  return { answer: state.path === path ? state.answer : null, failure: state.failure };
}

const PICTURED_MS = 5 * 60_000; // as long as the service keeps pictures

/** Pictures of the newest minutes of signal, by time; at each `beat` only those are fetched that are new. */
export function useSignal(stayId, beat) {
  const held = useRef({ stayId, segments: [] });
  if (held.current.stayId !== stayId) held.current = { stayId, segments: [] };
  const newest = held.current.segments.at(-1)?.time;
  const after = newest ? `?${new URLSearchParams({ after: newest })}` : "";
  const state = useFetched(`v1/stays/${encodeURIComponent(stayId)}/signal${after}`, beat);
  const fresh = state.answer?.stay_id === stayId ? state.answer.segments : [];
  const later = newest ? fresh.filter(({ time }) => time > newest) : fresh;
  if (later.length) {
    const all = [...held.current.segments, ...later];
    const from = Date.parse(all.at(-1).time) - PICTURED_MS;
    held.current.segments = all.filter(({ time }) => Date.parse(time) > from);
  }
  return { segments: held.current.segments, failure: state.failure };
}

/** The Gaussian-process band of `variables`, or null with the reason why there is none. */
export function usePosterior(stayId, asOf, variables, beat) {
  const path = `v1/stays/${encodeURIComponent(stayId)}/posterior${query(asOf, variables)}`;
  const never = useRef(false); // the model that scores here has no posterior: asking again changes nothing
  const state = useFetched(variables.length && !never.current ? path : null, beat);
  never.current = state.status === NOT_FOUND;
  return { posterior: state.failure ? null : state.answer, failure: state.failure };
}

/** What the model says of `score`, asked only while `wanted`. An answer for another hour is never shown as this one's. */
function useAsked(question, stayId, score, wanted) {
  const path = `v1/stays/${encodeURIComponent(stayId)}/${question}?${new URLSearchParams({ time: score.time })}`;
  const revision = `${score.value} ${score.low} ${score.high}`; // a late result changes the score of an hour
  const state = useFetched(wanted ? path : null, revision);
  return { answer: state.path === path ? state.answer : null, failure: state.failure };
}

/** What stands behind `score`. */
export function useExplanation(stayId, score, wanted) {
  const { answer, failure } = useAsked("explanation", stayId, score, wanted);
  return { explanation: answer, failure };
}

/** The past stays that were most like this one at the hour of `score`; null until they are known. */
export function useSimilar(stayId, score, wanted) {
  const { answer, failure } = useAsked("similar", stayId, score ?? {}, wanted && Boolean(score?.time));
  return { similar: answer, failure };
}
