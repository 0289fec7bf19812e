/** The score over the stay with its spread: threshold, gaps where there is none, and the alerts it raised. */
import { useEffect, useMemo, useRef } from "../vendor/hooks.js";
import { latestBefore, scoreColumns } from "./align.js";
import { Chart, colour } from "./chart.js";
import { hasSpread, hourMinute, scoreAndSpread, scoreText } from "./format.js";
import { html } from "./html.js";

const [LOW, HIGH] = [1, 2]; // columns of the chart's data
const MARK = 6; // half the width of an alert's mark, CSS pixels
const STRIP = 5; // height of the strip that says "no score"
const HOUR_SECONDS = 3600;

const SHAPES = {
  high: (x, y, s) => [[x, y - s], [x + s, y + s], [x - s, y + s]],
  medium: (x, y, s) => [[x - s, y - s], [x + s, y - s], [x + s, y + s], [x - s, y + s]],
  low: (x, y, s) => Array.from({ length: 12 }, (_, i) => [x + s * Math.cos(i / 1.91), y + s * Math.sin(i / 1.91)]),
};

function line(context, from, to, stroke, dash) {
  Object.assign(context, { strokeStyle: stroke, lineWidth: devicePixelRatio });
  context.setLineDash(dash.map((length) => length * devicePixelRatio));
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  context.setLineDash([]);
}

function fillShape(context, points, fill) {
  context.beginPath();
  points.forEach((point, index) => (index ? context.lineTo(...point) : context.moveTo(...point)));
  context.closePath();
  Object.assign(context, { fillStyle: fill, strokeStyle: colour("text"), lineWidth: devicePixelRatio * 0.7 });
  context.fill();
  context.stroke();
}

/** An alert as a line with the mark of its priority. */
export function paintAlert(chart, alert) {
  const { left, top, width, height } = chart.bbox;
  const x = chart.valToPos(Date.parse(alert.raised_at) / 1000, "x", true);
  if (x < left || x > left + width) return;
  line(chart.ctx, [x, top], [x, top + height], colour(alert.priority), [2, 2]);
  const size = MARK * devicePixelRatio;
  fillShape(chart.ctx, SHAPES[alert.priority](x, top + size, size), colour(alert.priority));
}

/** The threshold as a dashed line. */
export function paintThreshold(chart, threshold) {
  const y = chart.valToPos(threshold, "y", true);
  const { left, width } = chart.bbox;
  line(chart.ctx, [left, y], [left + width, y], colour("quiet"), [5, 4]);
}

/** A strip where there is no score; each score speaks of the `seconds` before it. */
export function paintMissing(chart, scores, seconds = HOUR_SECONDS) {
  const { left, top, width, height } = chart.bbox;
  const strip = STRIP * devicePixelRatio;
  chart.ctx.fillStyle = colour("technical");
  for (const score of scores.filter(({ value }) => value === null)) {
    const at = Date.parse(score.time) / 1000;
    const [from, to] = [at - seconds, at].map((time) => chart.valToPos(time, "x", true));
    const start = Math.max(left, from);
    chart.ctx.fillRect(start, top + height - strip, Math.max(0, Math.min(left + width, to) - start), strip);
  }
}

const make = (threshold) => () => ({
  height: 168,
  showTime: true,
  range: (chart, low, high) => [0, Math.max(high ?? 0, 2 * threshold) * 1.08],
  bands: [{ series: [HIGH, LOW], fill: colour("band") }],
  series: [
    { stroke: "transparent", points: { show: false } },
    { stroke: "transparent", points: { show: false } },
    { stroke: colour("text"), width: 2, spanGaps: false, points: { show: true, size: 5, fill: colour("text") } },
  ],
});

const words = (score, threshold) => {
  if (!score) return "";
  const value = score.value === null ? `no score: ${score.reason}` : scoreAndSpread(score, threshold);
  return `${hourMinute(score.time)} ${value}`;
};

/** The chart with its heading; under the pointer the heading tells the score of that hour. */
export function ScoreChart({ scores, alerts, threshold, span, theme, onPick }) {
  const reading = useRef(null);
  const data = useMemo(() => scoreColumns(scores, span), [scores, span]);
  const paint = (chart) => {
    paintThreshold(chart, threshold);
    paintMissing(chart, scores);
    alerts.forEach((alert) => paintAlert(chart, alert));
  };
  const show = (time) => {
    reading.current.textContent = words(time === null ? scores.at(-1) : latestBefore(scores, time), threshold);
  };
  const newest = words(scores.at(-1), threshold);
  // the pointer writes here too, past the drawing of the page: so the newest is written by hand as well
  useEffect(() => {
    reading.current.textContent = newest;
  }, [newest]);
  const shaded = scores.some(hasSpread) ? ", shaded: 10th to 90th percentile over what was not measured" : "";
  const label = `Score over the stay, ${scores.length} hours, threshold ${threshold}. Newest: ${newest}`;
  return html`<figure>
    <figcaption><b>Score</b> <small>threshold ${scoreText(threshold, threshold)}${shaded}</small>
      <output class="reading" ref=${reading}></output></figcaption>
    <${Chart} kind=${`${theme}${threshold}`} make=${make(threshold)} data=${data} label=${label} paint=${paint}
      onCursor=${show} onPick=${onPick} />
  </figure>`;
}
