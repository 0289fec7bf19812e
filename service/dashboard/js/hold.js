/**
 * Is a hand on this list? A pointer over it or a key pressed in it, within the last half minute: a mouse left
 * lying on the board must not freeze the order for a night.
 */
import { elapsed } from "./clock.js";

const IDLE_MS = 30_000;
const SETTLE_MS = 400; // faster than a person can mean a button that has just moved

/** Watches one element: `ref(element)`, `isHeld()`, `moved()` after a reorder, `settled()` before a click counts. */
export function createHold() {
  let [element, touchedAt, movedAt] = [null, -Infinity, -Infinity];
  const touch = () => {
    touchedAt = elapsed();
  };
  // an answered row loses its button and with it the focus: the pointer may still be there, and the reverse
  const leave = (focused) => {
    if (!element.matches(":hover") && !element.contains(focused)) touchedAt = -Infinity;
  };
  return {
    ref(next) {
      if (next === element || next === null) return;
      element = next;
      ["pointermove", "pointerdown", "keydown", "focusin"].forEach((kind) => element.addEventListener(kind, touch));
      element.addEventListener("pointerleave", () => leave(document.activeElement));
      element.addEventListener("focusout", (event) => leave(event.relatedTarget));
    },
    isHeld: () => elapsed() - touchedAt < IDLE_MS,
    moved() {
      movedAt = elapsed();
    },
    settled: () => elapsed() - movedAt > SETTLE_MS,
  };
}
