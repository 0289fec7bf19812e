/** One uPlot chart on the stay's shared time axis: same span, same cursor, same zoom as its neighbours. */
import { useEffect, useRef } from "../vendor/hooks.js";
import UPlot from "../vendor/uplot.js";
import { clockTime, hourMinute } from "./format.js";
import { html } from "./html.js";

const TOGETHER = "stay";
const AXIS_WIDTH = 54;
const TIME_HEIGHT = 24;

/** A colour of the style sheet by its token, for the canvas. */
export const colour = (token) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${token}`).trim();

const clockLabels = (chart, splits) => {
  const within = splits.length > 1 && splits[1] - splits[0] < 60; // a minute: two ticks of it would read alike
  return splits.map((time) => {
    const words = within ? clockTime(time * 1000) : hourMinute(time * 1000);
    return words === "00:00" ? new Date(time * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" }) : words;
  });
};

function axes(showTime) {
  const lines = { stroke: colour("line"), width: 1 };
  const common = { stroke: colour("quiet"), grid: lines, ticks: { ...lines, size: 4 }, font: "12px system-ui, sans-serif" };
  return [
    { ...common, size: showTime ? TIME_HEIGHT : 4, space: 70, values: showTime ? clockLabels : () => [] },
    { ...common, size: AXIS_WIDTH, space: 20 },
  ];
}

const isZoomed = (chart) => {
  const [times, { min, max }] = [chart.data[0], chart.scales.x];
  return typeof min === "number" && (min > times[0] || max < times[times.length - 1]);
};

/** uPlot's options from ours: {height, showTime, series, bands, range, paint(chart), under(chart)}. */
function options(given, width, latest) {
  return {
    width,
    height: given.height,
    legend: { show: false },
    padding: [8, 10, given.showTime ? 0 : 8, 0],
    cursor: { sync: { key: TOGETHER, scales: ["x", null] }, y: false, points: { show: false }, drag: { dist: 6 } },
    scales: { x: { time: true, range: (chart, from, to) => [from, to] }, y: { range: given.range } },
    axes: axes(given.showTime),
    series: [{}, ...given.series],
    bands: given.bands,
    hooks: {
      drawClear: [(chart) => latest.current.under?.(chart)],
      draw: [(chart) => latest.current.paint?.(chart)],
      setCursor: [(chart) => latest.current.onCursor(timeAt(chart))],
      ready: [(chart) => chart.over.addEventListener("click", () => latest.current.onPick(timeAt(chart)))],
    },
  };
}

const timeAt = (chart) => {
  const { left } = chart.cursor;
  return left === undefined || left < 0 ? null : chart.posToVal(left, "x") * 1000;
};

/**
 * A chart. `make()` gives our options and is called again when `kind` changes (theme, units); `data` are
 * uPlot's columns; `onCursor(time|null)` follows the pointer and `onPick(time)` a click, in milliseconds.
 */
export function Chart({ kind, make, data, label, paint, under, onCursor, onPick }) {
  const [box, chart, latest] = [useRef(null), useRef(null), useRef({})];
  latest.current = { paint, under, onCursor, onPick };
  useEffect(() => {
    const [given, element] = [make(), box.current];
    const drawn = new UPlot(options(given, element.clientWidth, latest), data, element);
    chart.current = drawn;
    const fit = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: given.height }));
    fit.observe(element);
    return () => {
      fit.disconnect();
      drawn.destroy();
    };
  }, [kind]);
  useEffect(() => {
    const zoomed = isZoomed(chart.current);
    chart.current.setData(data, !zoomed);
    if (zoomed) chart.current.redraw();
  }, [data]);
  return html`<div class="chart" ref=${box} role="img" aria-label=${label}></div>`;
}
