/** The last minutes of a live recording: a score each segment, threshold, what was detected, where signal lacked. */
import { useEffect, useMemo, useRef } from "../vendor/hooks.js";
import { latestBefore, scoreColumns } from "./align.js";
import { Chart, colour } from "./chart.js";
import { clockTime, scoreText } from "./format.js";
import { html } from "./html.js";
import { paintAlert, paintMissing, paintThreshold } from "./score_chart.js";

const words = (segment, threshold) => {
  if (!segment) return "";
  const said = segment.value === null ? `no score: ${segment.reason}` : scoreText(segment.value, threshold);
  return `${clockTime(segment.time)} ${said}`;
};

function paintDetected(chart, segments, seconds) {
  const { left, top, width, height } = chart.bbox;
  chart.ctx.fillStyle = `${colour("high")}40`;
  for (const { time } of segments.filter(({ active }) => active)) {
    const at = Date.parse(time) / 1000;
    const [from, to] = [at - seconds, at].map((moment) => chart.valToPos(moment, "x", true));
    const start = Math.max(left, from);
    chart.ctx.fillRect(start, top, Math.max(0, Math.min(left + width, to) - start), height);
  }
}

const make = () => ({
  height: 168,
  showTime: true,
  range: () => [0, 1.05],
  bands: [],
  series: [
    { stroke: "transparent", points: { show: false } },
    { stroke: "transparent", points: { show: false } },
    { stroke: colour("text"), width: 1.6, spanGaps: false, points: { show: false } },
  ],
});

/** `segments` by time (at least one), `recording` of the stay's tile. */
export function SegmentChart({ segments, recording, alerts, theme }) {
  const reading = useRef(null);
  const { threshold, segment_seconds: seconds } = recording;
  const span = useMemo(
    () => ({ from: Date.parse(segments[0].time) - 1000 * seconds, to: Date.parse(segments.at(-1).time) }),
    [segments],
  );
  const data = useMemo(() => scoreColumns(segments, span), [segments]);
  const under = (chart) => paintDetected(chart, segments, seconds);
  const paint = (chart) => {
    paintThreshold(chart, threshold);
    paintMissing(chart, segments, seconds);
    alerts.filter(({ condition_name: name }) => name === recording.condition).forEach((alert) => paintAlert(chart, alert));
  };
  const show = (time) => {
    reading.current.textContent = words(time === null ? segments.at(-1) : latestBefore(segments, time), threshold);
  };
  const newest = words(segments.at(-1), threshold);
  useEffect(() => {
    reading.current.textContent = newest;
  }, [newest]);
  return html`<figure>
    <figcaption><b>Seizure score</b> <small>each ${seconds} s, by ${recording.detector}, threshold ${scoreText(threshold, threshold)}; shaded: detected</small>
      <output class="reading" ref=${reading}></output></figcaption>
    <${Chart} kind=${`${theme}${threshold}`} make=${make} data=${data} under=${under} paint=${paint} onCursor=${show}
      onPick=${() => {}} label=${`Seizure score of the last minutes, ${segments.length} segments. Newest: ${newest}`} />
  </figure>`;
}
