/** Twelve hours of scores (of a recording: minutes) as one small path, the threshold as a line, the newest score's spread as a bar. Gaps stay gaps. */
import { hasSpread } from "./format.js";
import { html } from "./html.js";

const MINUTES = 12 * 60;
const [WIDTH, HEIGHT, EDGE] = [120, 28, 2];

// the threshold sits at half height unless the score rises above twice the threshold
const ceiling = (points, threshold) =>
  Math.max(2 * threshold, ...points.map(([, value]) => value ?? 0), Number.EPSILON);

/**
 * The drawing: {path, dots, threshold, spread: [y of low, y of high] or null} in a box of 120 x 28; `points` are
 * [time, value or null], `newest` the newest score. A wide spread is cut off: it must not press the course flat.
 */
export function sparkline(points, threshold, end, newest, minutes = MINUTES) {
  const top = ceiling(points, threshold);
  const x = (time) => (WIDTH * (1 - (end - Date.parse(time)) / (minutes * 60_000))).toFixed(1);
  const y = (value) => (HEIGHT - EDGE - (value / top) * (HEIGHT - 2 * EDGE)).toFixed(1);
  const [strokes, dots] = [[], []];
  points.forEach(([time, value], index) => {
    if (value === null) return;
    const joined = index > 0 && points[index - 1][1] !== null;
    const alone = !joined && (points[index + 1]?.[1] ?? null) === null;
    strokes.push(`${joined ? "L" : "M"}${x(time)} ${y(value)}`);
    if (alone) dots.push([x(time), y(value)]);
  });
  const spread = hasSpread(newest) ? [newest.low, newest.high].map((value) => y(Math.min(value, top))) : null;
  return { path: strokes.join(""), dots, threshold: y(threshold), spread };
}

/** The sparkline of a tile; the newest score is at the right edge. */
export function Sparkline({ points, threshold, newest, minutes }) {
  const end = points.length ? Date.parse(points[points.length - 1][0]) : 0;
  const drawing = sparkline(points, threshold, end, newest, minutes);
  return html`<svg class="sparkline" viewBox="0 0 120 28" preserveAspectRatio="none" aria-hidden="true">
    <line class="threshold" x1="0" x2="120" y1=${drawing.threshold} y2=${drawing.threshold} />
    ${drawing.spread && html`<line class="spread" x1="118" x2="118" y1=${drawing.spread[0]} y2=${drawing.spread[1]} />`}
    <path d=${drawing.path} />
    ${drawing.dots.map(([x, y]) => html`<circle cx=${x} cy=${y} r="1.5" />`)}
  </svg>`;
}
