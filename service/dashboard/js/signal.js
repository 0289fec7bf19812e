/** The signal of the last minutes, a row a channel, and how far each segment was from what was forecast of it. */
import { useEffect, useRef } from "../vendor/hooks.js";
import { colour } from "./chart.js";
import { clockTime } from "./format.js";
import { html } from "./html.js";
import { FOOT, paintSignal, paintSurprise, placed } from "./signal_paint.js";
import { useSignal } from "./stay_data.js";

const NAMED = 3; // bad channels that the label names

/** Draws `paint(context, {width, height})` in CSS pixels, again when its width, `data` or `theme` change. */
function Picture({ height, paint, data, theme, label, onPoint }) {
  const canvas = useRef(null);
  const latest = useRef(null);
  latest.current = () => {
    const element = canvas.current;
    const width = element.clientWidth;
    Object.assign(element, { width: width * devicePixelRatio, height: height * devicePixelRatio });
    const context = element.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    paint(context, { width, height });
  };
  useEffect(() => {
    const fit = new ResizeObserver(() => latest.current());
    fit.observe(canvas.current);
    return () => fit.disconnect();
  }, []);
  useEffect(() => latest.current(), [data, theme, height]);
  const point = ({ offsetX, offsetY }) => onPoint(offsetX, offsetY, canvas.current.clientWidth);
  return html`<canvas class="signal" ref=${canvas} height=${height} role="img" aria-label=${label}
    onPointerMove=${point} onPointerLeave=${() => onPoint(null)}></canvas>`;
}

/** Names of all channels, those with signal in the montage's order; a bad one is in its place with its reason. */
function channelRows(recording, pictures) {
  const heard = new Set(pictures.flatMap(({ channels }) => channels.map(({ channel }) => channel)));
  const bad = new Map((recording.bad ?? []).map(({ channel, reason }) => [channel, reason]));
  const names = recording.shafts.flatMap(([, channels]) => channels);
  return names
    .filter((name) => heard.has(name) || bad.has(name))
    .map((name) => ({ name, bad: bad.get(name) ?? null }));
}

const timeAt = (x, width, span) => {
  const { left, right } = placed(width);
  const share = (x - left) / (right - left);
  return share < 0 || share > 1 ? null : span.from + share * (span.to - span.from);
};

function words(rows, pictures, seconds, time, y, height) {
  const row = rows[Math.floor((y / (height - FOOT)) * rows.length)];
  const picture = pictures.find((one) => time > one.end - 1000 * seconds && time <= one.end);
  const trace = picture?.channels.find(({ channel }) => channel === row?.name);
  if (!row || time === null) return "";
  const surprise = typeof trace?.surprise === "number" ? `, surprise ${trace.surprise.toFixed(2)}` : "";
  const bad = row.bad === null ? "" : `, ${row.bad}`;
  return `${clockTime(time)} ${row.name}${trace ? surprise : ", no signal"}${bad}`;
}

function Figure({ title, note, kind, height, rows, pictures, seconds, span, paint, data, theme, label }) {
  const reading = useRef(null);
  const point = (x, y, width) => {
    reading.current.textContent =
      x === null ? "" : words(rows, pictures, seconds, timeAt(x, width, span), y, height);
  };
  return html`<figure class=${kind}>
    <figcaption><b>${title}</b> <small>${note}</small><output class="reading" ref=${reading}></output></figcaption>
    <${Picture} height=${height} paint=${paint} data=${data} theme=${theme} label=${label} onPoint=${point} />
  </figure>`;
}

const described = (rows) => {
  const bad = rows.filter((row) => row.bad !== null).map(({ name }) => name);
  if (!bad.length) return "none bad";
  return `bad: ${bad.slice(0, NAMED).join(", ")}${bad.length > NAMED ? ` and ${bad.length - NAMED} more` : ""}`;
};

/** The panel: `scores` of the same segments say what was detected. Nothing where no picture was sent. */
export function Signal({ stay, scores, beat, theme }) {
  const { segments, failure } = useSignal(stay.stay_id, beat);
  if (failure) return html`<p class="reason">Signal cannot be read: ${failure}</p>`;
  if (!segments.length) return null;
  const { recording } = stay;
  const seconds = recording.segment_seconds;
  const pictures = segments.map((one) => ({ ...one, end: Date.parse(one.time) }));
  const rows = channelRows(recording, pictures);
  if (!rows.length) return null;
  const span = { from: pictures[0].end - 1000 * seconds, to: pictures.at(-1).end };
  const detected = new Set(scores.filter(({ active }) => active).map(({ time }) => Date.parse(time)));
  const shown = { rows, pictures, seconds, span, detected, colour };
  const height = Math.round(rows.length * Math.min(26, Math.max(8, 480 / rows.length)));
  const common = { rows, pictures, seconds, span, theme, data: `${segments.at(-1).time}${detected.size}${described(rows)}` };
  const surprised = pictures.some(({ channels }) => channels.some(({ surprise }) => typeof surprise === "number"));
  const minutes = Math.max(1, Math.round((span.to - span.from) / 60_000));
  const length = `last ${minutes} min of ${rows.length} channels`;
  return html`<div class="signals">
    <${Figure} ...${common} kind="electrodes" title="Signal" height=${height + FOOT}
      note=${`${length}; shaded: detected, striped: no signal`}
      paint=${(context, size) => paintSignal(context, size, shown)}
      label=${`Signal, ${length}, ${described(rows)}`} />
    ${surprised && html`<${Figure} ...${common} kind="surprise" title="Forecast surprise" height=${Math.round(height / 2) + FOOT}
      note=${html`each ${seconds} s; foreseen <i class="key ramp"></i> not (1 and more)`}
      paint=${(context, size) => paintSurprise(context, size, shown)}
      label=${`Forecast surprise of each channel, ${length}`} />`}
  </div>`;
}
