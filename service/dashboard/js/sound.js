/**
 * One sound for each new high alert. Off until somebody switches it on (browsers demand a gesture), pausable
 * for two minutes; a priority above everything open when it was paused breaks the pause.
 */
import { priorityRank } from "./attention.js";
import { elapsed } from "./clock.js";

export const PAUSE_MS = 120_000;
const TONES = [[0, 740], [0.2, 740], [0.4, 740], [0.75, 988], [0.95, 988]]; // seconds, Hz
const TONE_SECONDS = 0.15;
const RAMP_SECONDS = 0.02; // a soft edge: a click in the loudspeaker startles patients

function tone(context, at, frequency) {
  const [oscillator, gain] = [context.createOscillator(), context.createGain()];
  oscillator.frequency.value = frequency;
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(0.25, at + RAMP_SECONDS);
  gain.gain.setValueAtTime(0.25, at + TONE_SECONDS - RAMP_SECONDS);
  gain.gain.linearRampToValueAtTime(0, at + TONE_SECONDS);
  oscillator.connect(gain).connect(context.destination);
  oscillator.start(at);
  oscillator.stop(at + TONE_SECONDS);
}

/** The board's sound: `toggle()`, `pause(highestOpen)`, `resume()`, `alert(priority)`, `state()`. */
export function createSound() {
  let [context, pausedUntil, pausedAt] = [null, 0, null];
  const paused = () => elapsed() < pausedUntil;

  function play() {
    TONES.forEach(([seconds, frequency]) => tone(context, context.currentTime + 0.05 + seconds, frequency));
  }

  function toggle() {
    if (context) {
      context.close();
      context = null;
    } else {
      context = new AudioContext();
      play(); // heard at once: a loudspeaker that does not work is noticed now
    }
    pausedUntil = 0;
  }

  return {
    toggle,
    resume: () => {
      pausedUntil = 0;
    },
    /** Stay silent for two minutes; `highestOpen` is the most urgent priority now open, or null. */
    pause: (highestOpen) => {
      [pausedUntil, pausedAt] = [elapsed() + PAUSE_MS, highestOpen];
    },
    /** Sound for a new alert; answers whether it did. */
    alert: (priority) => {
      const breaks = priorityRank(priority) < priorityRank(pausedAt);
      if (!context || priority !== "high" || (paused() && !breaks)) return false;
      pausedUntil = 0;
      play();
      return true;
    },
    /** {on, pausedSeconds}: 0 when it is not paused. */
    state: () => ({
      on: context !== null,
      pausedSeconds: paused() ? Math.ceil((pausedUntil - elapsed()) / 1000) : 0,
    }),
  };
}
