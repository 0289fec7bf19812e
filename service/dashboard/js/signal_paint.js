/** How the signal and the surprise of a recording are drawn: a row a channel, time from left to right. */

const LEFT = 54; // room for names, as the charts' axis
const RIGHT = 10;
export const FOOT = 20; // room for the times
const LEAST_NAMED = 10; // pixels a row must have for its name to be read
const TALLEST = 0.48; // of a row, up and down: cut there, or a seizure would be one block
const STEPS_SECONDS = [15, 30, 60, 120];
const MOST_TIMES = 6;

/** Where the rows lie in a picture of this width. */
export const placed = (width) => ({ left: LEFT, right: width - RIGHT });

const quantile = (values, share) => values.sort((one, other) => one - other)[Math.floor(share * (values.length - 1))];

function tracesOf(name, pictures) {
  return pictures.map(({ channels, end }) => ({ end, trace: channels.find(({ channel }) => channel === name) }));
}

/** The level of a row (the median of its middles) and the width of a usual stretch, microvolt. */
function level(traces) {
  const [middles, widths] = [[], []];
  for (const { trace } of traces) {
    trace?.low.forEach((low, index) => {
      if (low === null) return;
      middles.push((low + trace.high[index]) / 2);
      widths.push(trace.high[index] - low);
    });
  }
  return middles.length ? { middle: quantile(middles, 0.5), usual: quantile(widths, 0.5) } : null;
}

function frame(context, { width, height }, { rows, span, colour }) {
  const { left, right } = placed(width);
  const bottom = height - FOOT;
  const row = bottom / rows.length;
  const x = (time) => left + ((time - span.from) / (span.to - span.from)) * (right - left);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  const seconds = (span.to - span.from) / 1000;
  const step = 1000 * (STEPS_SECONDS.find((one) => seconds / one <= MOST_TIMES * Math.min(1, width / 640)) ?? 120);
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  for (let time = Math.ceil(span.from / step) * step; time <= span.to; time += step) {
    context.fillStyle = colour("line");
    context.fillRect(Math.round(x(time)), 0, 1, bottom);
    context.fillStyle = colour("quiet");
    const half = 27; // of a time's text
    const words = new Date(time).toLocaleTimeString("en-GB");
    context.fillText(words, Math.min(Math.max(x(time), left + half), right - half), height - 5);
  }
  return { x, row, left, right, bottom };
}

function paintNames(context, { rows, colour }, { row }) {
  const every = Math.ceil(LEAST_NAMED / row);
  context.font = `${Math.min(12, Math.max(9, row - 1))}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  rows.forEach(({ name, bad }, index) => {
    if (index % every && bad === null) return;
    const y = (index + 0.5) * row;
    context.fillStyle = colour(bad === null ? "quiet" : "text");
    context.fillText(name, LEFT - 6, y, LEFT - 8);
    const struck = Math.min(LEFT - 8, context.measureText(name).width);
    if (bad !== null) context.fillRect(LEFT - 6 - struck, y, struck, 1.5);
  });
}

/** Stripes over a box: signal that is not there is not a flat line. */
function stripes(context, colour, x, y, width, height) {
  if (width <= 0) return;
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.globalAlpha = 0.55;
  context.strokeStyle = colour("technical");
  context.lineWidth = 1;
  context.beginPath();
  const first = Math.floor((x - height) / 6) * 6;
  for (let at = first; at < x + width; at += 6) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

function gaps(context, shown, place, index, traces) {
  const { x, row } = place;
  const wide = 1000 * shown.seconds;
  const [top, high] = [index * row + row * 0.15, row * 0.7];
  let until = shown.span.from;
  for (const { end, trace } of [...traces, { end: shown.span.to + wide, trace: null }]) {
    const begin = end - wide;
    if (begin - until > 1) stripes(context, shown.colour, x(until), top, x(begin) - x(until), high);
    if (!trace && end <= shown.span.to) stripes(context, shown.colour, x(begin), top, x(end) - x(begin), high);
    const stretch = wide / (trace?.low.length ?? 1);
    trace?.low.forEach((low, part) => {
      const [from, to] = [x(begin + part * stretch), x(begin + (part + 1) * stretch)];
      if (low === null) stripes(context, shown.colour, from, top, to - from, high);
    });
    until = Math.max(until, end);
  }
}

function rowOf(context, shown, place, index, traces, scale) {
  const { x, row } = place;
  const wide = 1000 * shown.seconds;
  const own = level(traces);
  if (!own) return;
  const middle = (index + 0.5) * row;
  const y = (value) => middle - Math.max(-TALLEST, Math.min(TALLEST, (value - own.middle) / scale)) * row;
  context.fillStyle = shown.colour(shown.rows[index].bad === null ? "text" : "technical");
  for (const { end, trace } of traces) {
    const stretch = wide / (trace?.low.length ?? 1);
    trace?.low.forEach((low, part) => {
      if (low === null) return;
      const [from, to] = [x(end - wide + part * stretch), x(end - wide + (part + 1) * stretch)];
      const top = y(trace.high[part]);
      context.fillRect(from, top, Math.max(to - from, 0.5), Math.max(y(low) - top, 1));
    });
  }
}

/** One scale for all rows: a usual stretch of a usual channel fills a quarter of its row. */
function commonScale(all) {
  const usual = all.map(level).filter((one) => one !== null && one.usual > 0).map((one) => one.usual);
  return usual.length ? 4 * quantile(usual, 0.5) : 1;
}

/** 1, 2 or 5 times a power of ten, at most `value`. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].find((one) => one * power <= value) * power;
}

function paintScale(context, { colour }, { row }, scale, height) {
  const shown = round(scale * Math.max(1, 14 / row));
  const tall = (shown / scale) * row;
  const bottom = height - 3;
  context.fillStyle = colour("quiet");
  context.fillRect(2, bottom - Math.min(tall, FOOT - 4), 2, Math.min(tall, FOOT - 4));
  context.font = "10.5px system-ui, sans-serif";
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillText(`${shown} µV`, 7, height - 5);
}

/** The signal: lowest to highest of each stretch, the stretches that were detected shaded. */
export function paintSignal(context, size, shown) {
  const place = frame(context, size, shown);
  context.fillStyle = `${shown.colour("high")}40`;
  for (const end of [...shown.detected].filter((time) => time > shown.span.from)) {
    const begin = Math.max(shown.span.from, end - 1000 * shown.seconds);
    context.fillRect(place.x(begin), 0, place.x(Math.min(end, shown.span.to)) - place.x(begin), place.bottom);
  }
  const all = shown.rows.map(({ name }) => tracesOf(name, shown.pictures));
  const scale = commonScale(all);
  context.save();
  context.beginPath();
  context.rect(place.left, 0, place.right - place.left, place.bottom);
  context.clip();
  all.forEach((traces, index) => gaps(context, shown, place, index, traces));
  all.forEach((traces, index) => rowOf(context, shown, place, index, traces, scale));
  context.restore();
  paintNames(context, shown, place);
  paintScale(context, shown, place, scale, size.height);
}

/** The surprise: the darker a segment, the less it was foreseen; stripes where nothing was forecast. */
export function paintSurprise(context, size, shown) {
  const place = frame(context, size, shown);
  shown.rows.forEach(({ name }, index) => {
    for (const { end, trace } of tracesOf(name, shown.pictures)) {
      const [from, to] = [place.x(end - 1000 * shown.seconds), place.x(end)];
      const value = trace?.surprise;
      if (typeof value === "number") {
        context.globalAlpha = Math.min(1, Math.max(0.04, value));
        context.fillStyle = shown.colour("mean");
        context.fillRect(from, index * place.row, to - from + 0.3, place.row - (place.row > 6 ? 1 : 0));
        context.globalAlpha = 1;
      } else stripes(context, shown.colour, from, index * place.row, to - from, place.row - 1);
    }
  });
  paintNames(context, shown, place);
}
