/** The service's clock between two messages that carry `now`, and the browser's own stop watch. */

const started = Date.now();

/**
 * Milliseconds since the page was opened. `performance.now` stands still while some machines sleep and the
 * wall clock can be set back: the larger of the two never makes an old picture look young.
 */
export const elapsed = () => Math.max(performance.now(), Date.now() - started);

/** A reading of the service clock, taken now. `speed` is service seconds a real second. */
export const reading = (now, { speed, simulated }) => ({
  base: Date.parse(now),
  at: elapsed(),
  speed,
  simulated,
});

/** The service's time now, in milliseconds since 1970. */
export const serviceNow = (clock) => clock.base + (elapsed() - clock.at) * clock.speed;
