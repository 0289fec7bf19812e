/**
 * The live feed with resume. The browser's own reconnection gives up after an error status and cannot see a
 * half-open connection, so this closes and reopens: after an error, and after 20 s without a word.
 */
import { elapsed } from "./clock.js";

export const SILENCE_MS = 20_000;
const RETRY_MS = 2_000;

/**
 * Follow the feed from `lastEventId`. `on.stay(tile)`, `on.alert(alert)`, `on.heartbeat(now)`,
 * `on.reset()`, `on.heard()` for every message. Answers a function that ends it.
 */
export function follow(lastEventId, on) {
  let [source, retry, position, heard, ended] = [null, 0, lastEventId, elapsed(), false];

  const listen = (kind, take) =>
    source.addEventListener(kind, (message) => {
      heard = elapsed();
      if (message.lastEventId) position = Number(message.lastEventId);
      on.heard();
      take(message.data ? JSON.parse(message.data) : null);
    });

  function open() {
    source?.close();
    if (ended) return;
    heard = elapsed();
    source = new EventSource(new URL(`v1/feed?last_event_id=${position}`, document.baseURI));
    listen("stay", on.stay);
    listen("alert", on.alert);
    listen("heartbeat", (data) => on.heartbeat(data.now));
    listen("reset", on.reset);
    source.onerror = again;
  }

  function again() {
    source.close();
    clearTimeout(retry);
    retry = setTimeout(open, RETRY_MS);
  }

  const watch = setInterval(() => elapsed() - heard > SILENCE_MS && open(), 1_000);
  open();
  return () => {
    ended = true;
    clearTimeout(retry);
    clearInterval(watch);
    source.close();
  };
}
