/** The keyboard: arrows move between beds, Enter opens, A acknowledges, / finds, ? explains, Esc goes back. */

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIDEWAYS = 4; // how much worse a step aside is than a step ahead

const centre = (element) => {
  const box = element.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
};

function distance(from, to, [right, down]) {
  const [x, y] = [to[0] - from[0], to[1] - from[1]];
  const ahead = x * right + y * down;
  const aside = Math.abs(x * down) + Math.abs(y * right);
  return ahead > 1 ? ahead + SIDEWAYS * aside : Infinity;
}

/** The nearest of `elements` from `current` in the direction of an arrow key, or null. */
export function neighbour(elements, current, key) {
  const from = centre(current);
  const measured = elements.map((element) => [distance(from, centre(element), DIRECTIONS[key]), element]);
  const [least, nearest] = measured.reduce((best, next) => (next[0] < best[0] ? next : best), [Infinity, null]);
  return Number.isFinite(least) ? nearest : null;
}

function moveFocus(event) {
  const elements = [...document.querySelectorAll("[data-nav]")];
  const current = document.activeElement.closest?.("[data-nav]");
  const next = current ? neighbour(elements, current, event.key) : elements[0];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

const typing = (element) => Boolean(element.closest?.("input, select, textarea"));

/** Listen for the board's keys. `act` holds acknowledge(stayId), find(), explain(), back(), singleKeys(). */
export function listenForKeys(act) {
  const single = {
    a: () => act.acknowledge(document.activeElement.closest?.("[data-stay]")?.dataset.stay),
    "/": act.find,
    "?": act.explain,
  };
  document.addEventListener("keydown", (event) => {
    const busy = event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]");
    if (busy) return;
    if (event.key === "Escape") return act.back();
    if (typing(event.target)) return;
    if (DIRECTIONS[event.key]) return moveFocus(event);
    const action = act.singleKeys() && single[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
