/** The ward as the service last told it: first paint, then every message of the feed. */
import { get } from "./api.js";
import { needsAnswer, priorityRank } from "./attention.js";
import { elapsed, reading, serviceNow } from "./clock.js";
import { follow, SILENCE_MS } from "./feed.js";

const RETRY_MS = 3_000;
const RECONCILE_MS = 300_000; // a whole new picture now and then: discharged stays leave, nothing can drift
const DRAW_MS = 120; // messages come in bursts; one redraw for each

/**
 * The ward's state and its life. `changed()` is called after a burst of changes, `arrived(alert, tile)` at
 * once for every alert that begins to need an answer after the first paint.
 */
export function createWard({ changed, arrived }) {
  const ward = {
    stays: new Map(), // stay_id -> tile
    fresh: new Map(), // alert_id -> when it arrived here, in elapsed milliseconds
    clock: null,
    failure: "connecting",
    heardAt: elapsed(),
    loadedAt: null,
    delays: [], // real seconds from a measurement to this board, the last twenty
  };
  let [drawing, end, loading, retry] = [0, () => {}, false, 0];

  const draw = () => {
    drawing ||= setTimeout(() => {
      drawing = 0;
      changed();
    }, DRAW_MS);
  };

  function greet(before, tile) {
    const [alert, now] = [tile.alert, serviceNow(ward.clock)];
    if (!needsAnswer(alert, now)) return;
    const same = before?.alert_id === alert.alert_id && needsAnswer(before, now);
    if (same && priorityRank(before.priority) <= priorityRank(alert.priority)) return;
    ward.fresh.set(alert.alert_id, elapsed());
    arrived(alert, tile);
  }

  function put(tile) {
    const before = ward.stays.get(tile.stay_id);
    ward.stays.set(tile.stay_id, tile);
    greet(before?.alert, tile);
    draw();
  }

  function takeStay(tile) {
    const before = ward.stays.get(tile.stay_id);
    if (before && tile.last_data_at !== before.last_data_at && tile.last_data_at !== null) {
      const seconds = (serviceNow(ward.clock) - Date.parse(tile.last_data_at)) / 1000 / ward.clock.speed;
      ward.delays = [...ward.delays.slice(-19), Math.max(0, seconds)];
    }
    put(tile);
  }

  function takeAlert(alert) {
    const tile = ward.stays.get(alert.stay_id);
    if (!tile) return void load(); // an alert for a stay this board has never seen: ask for everything
    const closed = alert.closed_at !== null;
    if (closed && tile.alert?.alert_id !== alert.alert_id) return;
    put({ ...tile, alert: closed ? null : alert });
  }

  const on = {
    stay: takeStay,
    alert: takeAlert,
    reset: () => load(),
    heartbeat: (now) => {
      ward.clock = reading(now, ward.clock);
      draw();
    },
    heard: () => {
      ward.heardAt = elapsed();
    },
  };

  function replace(answer) {
    const before = ward.stays;
    ward.clock = reading(answer.now, answer.clock);
    ward.model = answer.model;
    ward.policy = answer.policy;
    ward.stays = new Map(answer.stays.map((tile) => [tile.stay_id, tile]));
    if (ward.loadedAt !== null) answer.stays.forEach((tile) => greet(before.get(tile.stay_id)?.alert, tile));
    Object.assign(ward, { failure: "", loadedAt: elapsed(), heardAt: elapsed() });
  }

  async function load() {
    if (loading) return;
    loading = true;
    clearTimeout(retry);
    try {
      const answer = await get("v1/stays");
      end();
      replace(answer);
      end = follow(answer.last_event_id, on);
    } catch (error) {
      ward.failure = error.message;
      retry = setTimeout(load, RETRY_MS);
    }
    loading = false;
    draw();
  }

  setInterval(() => !isSilent(ward) && load(), RECONCILE_MS);
  load();
  return Object.assign(ward, { takeAlert, redraw: draw });
}

/** Has the feed said nothing for so long that the picture must not be trusted? */
export const isSilent = (ward) => elapsed() - ward.heardAt > SILENCE_MS;
