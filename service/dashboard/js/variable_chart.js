/** One variable over the stay: what was observed, the Gaussian-process mean and 95 % band, the normal range. */
import { useEffect, useMemo, useRef } from "../vendor/hooks.js";
import { isLate, latestBefore, MOST_PAST, standing, variableColumns } from "./align.js";
import { Chart, colour } from "./chart.js";
import { hourMinute, measured, outside, unitText } from "./format.js";
import { html } from "./html.js";

const [LOW, HIGH, ENDED] = [1, 2, 6].map((column) => 2 * MOST_PAST + column); // columns of the chart's data
const ARM = 4; // half a cross, in CSS pixels

function shadeNormal(chart, [low, high]) {
  const { left, top, width, height } = chart.bbox;
  const [upper, lower] = [high, low].map((value) => chart.valToPos(value, "y", true));
  const from = Math.max(top, Math.min(upper, top + height));
  const to = Math.max(top, Math.min(lower, top + height));
  chart.ctx.fillStyle = colour("normal");
  chart.ctx.fillRect(left, from, width, Math.max(to - from, devicePixelRatio));
}

/** A cross where a value was that no longer stands. */
function crossEnded(chart) {
  const { ctx, data } = chart;
  const arm = ARM * devicePixelRatio;
  const { left, top, width, height } = chart.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour("text");
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.beginPath();
  data[ENDED].forEach((value, row) => {
    if (value === null || value === undefined) return;
    const [x, y] = [chart.valToPos(data[0][row], "x", true), chart.valToPos(value, "y", true)];
    ctx.moveTo(x - arm, y - arm);
    ctx.lineTo(x + arm, y + arm);
    ctx.moveTo(x - arm, y + arm);
    ctx.lineTo(x + arm, y - arm);
  });
  ctx.stroke();
  ctx.restore();
}

// the normal range belongs to the picture unless it would squash the course to a line
function range(normal) {
  return (chart, low, high) => {
    if (low === null || low === undefined) return normal;
    const [bottom, top] = [Math.min(low, normal[0]), Math.max(high, normal[1])];
    const squashed = top - bottom > 6 * (high - low || normal[1] - normal[0] || 1);
    const [from, to] = squashed ? [low, high] : [bottom, top];
    const edge = (to - from || Math.abs(to) || 1) * 0.08;
    return [from - edge, to + edge];
  };
}

const points = (fill) => ({
  paths: () => null,
  points: { show: true, size: 6, width: 1.5, stroke: colour("text"), fill },
});

/** A past stay's course, behind the rest. */
const past = (dash) => ({ stroke: colour("past"), width: 1.25, dash, points: { show: false } });

const make = (normal, showTime) => () => ({
  height: showTime ? 128 : 104,
  showTime,
  range: range(normal),
  bands: [{ series: [HIGH, LOW], fill: colour("band") }],
  series: [
    ...Array.from({ length: MOST_PAST }, () => past()),
    ...Array.from({ length: MOST_PAST }, () => past([4, 3])), // did not become septic
    { stroke: "transparent", points: { show: false } },
    { stroke: "transparent", points: { show: false } },
    { stroke: colour("mean"), width: 1.5, points: { show: false } },
    points(colour("text")),
    points(colour("ground")),
    { paths: () => null, points: { show: false } },
  ],
});

function words(observation, { unit, normal }, none) {
  if (!observation) return none;
  const arrow = outside(observation.value, normal);
  const late = isLate(observation) ? `, known ${hourMinute(observation.known_at, observation.time)}` : "";
  return `${measured(observation.value, observation.censored)} ${arrow} ${unitText(unit)} at ${hourMinute(observation.time)}${late}`.replace(/ +/g, " ");
}

/** The chart with its heading: label, unit, normal range and the last value before the pointer. */
export function VariableChart({ name, variable, observations, band, past: courses, span, theme, showTime, onPick }) {
  const reading = useRef(null);
  const data = useMemo(() => variableColumns(observations, band, span, courses), [observations, band, courses, span]);
  const stood = useMemo(() => standing(observations), [observations]);
  const none = stood.length ? "not measured yet" : "withdrawn";
  const show = (time) => {
    const observation = time === null ? stood.at(-1) : latestBefore(stood, time);
    reading.current.textContent = words(observation, variable, none);
  };
  const [low, high] = variable.normal;
  const newest = words(stood.at(-1), variable, none);
  // the pointer writes here too, past the drawing of the page: so the newest is written by hand as well
  useEffect(() => {
    reading.current.textContent = newest;
  }, [newest]);
  const ended = observations.length - stood.length;
  const counted = `${observations.length} observations${ended ? `, ${ended} of them corrected or withdrawn` : ""}`;
  return html`<figure data-variable=${name}>
    <figcaption><b>${variable.label}</b> <small>${unitText(variable.unit)} normal ${low === high ? low : `${low}–${high}`}</small>
      <output class="reading" ref=${reading}></output></figcaption>
    <${Chart} kind=${`${theme}${showTime}`} make=${make(variable.normal, showTime)} data=${data}
      label=${`${variable.label}: ${counted}, newest ${newest}`}
      under=${(chart) => shadeNormal(chart, variable.normal)} paint=${crossEnded} onCursor=${show} onPick=${onPick} />
  </figure>`;
}
