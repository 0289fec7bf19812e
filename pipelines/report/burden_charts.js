/* Drawings: lines and bars as SVG, the raster of events on a canvas. */
function element(name, attributes = {}, text = null) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

/* Recall and share of true alarms over alarms a bed and day, on a logarithmic axis. */
function drawCurve(place, points, here, budget, take) {
  const [width, height, left, right, top, bottom] = [620, 300, 40, 92, 10, 40];
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Trade-off" });
  const shown = points.filter((point) => point.alarms_per_bed_day > 0);
  const rates = [...shown, here].map((point) => point.alarms_per_bed_day).filter((rate) => rate > 0);
  const [low, high] = [Math.max(Math.min(...rates) / 1.15, 1e-3), Math.max(...rates) * 1.15];
  const x = (rate) =>
    left + ((width - left - right) * Math.log(Math.max(rate, low) / low)) / Math.log(high / low);
  const y = (share) => top + (height - top - bottom) * (1 - share);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(element("line", { class: "rule", x1: left, x2: width - right, y1: y(share), y2: y(share) }));
    svg.append(element("text", { x: left - 8, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`));
  }
  for (const rate of [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50])
    if (rate >= low && rate <= high)
      svg.append(element("text", { x: x(rate), y: height - bottom + 18, "text-anchor": "middle" }, rate));
  const middle = (left + width - right) / 2;
  svg.append(element("text", { x: middle, y: height - 4, "text-anchor": "middle" }, "alarms a bed and day"));
  if (budget !== null && budget >= low && budget <= high) {
    svg.append(element("line", { class: "limit", x1: x(budget), x2: x(budget), y1: top, y2: y(0) }));
    svg.append(element("text", { class: "limit", x: x(budget) + 5, y: top + 10 }, "budget"));
  }
  for (const [name, kind, label] of [["recall", "recall", "foreseen"], ["precision", "ppv", "true alarms"]]) {
    const known = shown.filter((point) => point[name] !== null);
    if (!known.length) continue;
    const line = known.map((point) => `${x(point.alarms_per_bed_day)},${y(point[name])}`).join("L");
    svg.append(element("path", { class: kind, d: `M${line}` }));
    const last = known.at(-1);
    const label_at = { class: kind, x: x(last.alarms_per_bed_day) + 8, y: y(last[name]) + 4 };
    svg.append(element("text", label_at, label));
  }
  if (here.alarms_per_bed_day > 0) {
    const at = x(here.alarms_per_bed_day);
    svg.append(element("line", { class: "here", x1: at, x2: at, y1: top, y2: y(0) }));
    if (here.recall !== null) svg.append(element("circle", { class: "recall", cx: at, cy: y(here.recall), r: 6 }));
    if (here.precision !== null)
      svg.append(element("circle", { class: "ppv", cx: at, cy: y(here.precision), r: 6 }));
  }
  const touch = element("rect", { class: "touch", x: left, y: top, width: width - left - right, height: y(0) - top });
  touch.addEventListener("click", (click) => {
    const box = svg.getBoundingClientRect();
    const clicked = ((click.clientX - box.left) * width) / box.width;
    const away = (point) => Math.abs(x(point.alarms_per_bed_day) - clicked);
    if (shown.length) take(shown.reduce((best, point) => (away(point) < away(best) ? point : best)).threshold);
  });
  svg.append(touch);
  place.replaceChildren(svg);
}

/* Events that were foreseen, by the hours of warning. */
function drawLeads(place, lead, window) {
  const bins = Math.min(Math.max(Math.round(window), 1), 12);
  const counts = new Array(bins).fill(0);
  for (const time of lead)
    if (time >= 0) counts[Math.min(Math.floor((time / HOUR / window) * bins), bins - 1)]++;
  const labels = counts.map((_, bin) => `${Number(((bin * window) / bins).toFixed(1))}`);
  // the earliest warning stands left, as time runs
  const bars = counts.map((count, bin) => ({ count, label: labels[bin] })).reverse();
  drawBars(place, bars, {
    axis: "at least so many hours before the onset",
    height: 300,
    width: 420,
    text: (count) => count,
  });
}

function drawHours(place, byHour, bedHours) {
  const bars = byHour.map((alarms, hour) => {
    const count = bedHours[hour] > 0 ? (24 * alarms) / bedHours[hour] : 0;
    return { count, label: hour % 3 ? "" : `${hour}` };
  });
  place.dataset.rates = JSON.stringify(bars.map((bar) => bar.count));
  const text = (count) => (count ? count.toFixed(2) : "");
  drawBars(place, bars, { axis: "hour of the day, UTC", height: 190, width: 1000, text });
}

function drawBars(place, bars, { axis, height, width, text }) {
  const [left, top, bottom] = [4, 22, 40];
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": axis });
  const most = Math.max(...bars.map((bar) => bar.count), 1e-9);
  const pitch = (width - 2 * left) / bars.length;
  bars.forEach(({ count, label }, number) => {
    const tall = ((height - top - bottom) * count) / most;
    const x = left + number * pitch;
    const y = height - bottom - tall;
    svg.append(element("rect", { class: "bar", x: x + pitch * 0.12, y, width: pitch * 0.76, height: tall, rx: 2 }));
    const middle = { x: x + pitch / 2, "text-anchor": "middle" };
    svg.append(element("text", { ...middle, y: y - 6, class: "strong" }, text(count)));
    svg.append(element("text", { ...middle, y: height - bottom + 17 }, label));
  });
  const ground = height - bottom;
  svg.append(element("line", { class: "axis", x1: left, x2: width - left, y1: ground, y2: ground }));
  svg.append(element("text", { x: width / 2, y: height - 4, "text-anchor": "middle" }, axis));
  place.replaceChildren(svg);
}

/* A row an event: scores as shades from 24 h before its onset to 6 h after, and every alarm. */
function drawRaster(canvas, ward, alarm, { lead }) {
  const [before, after, rowHeight, top, left, most] = [24, 6, 9, 4, 6, 80];
  const rows = eventsShown(ward, lead, most);
  const width = canvas.parentElement.clientWidth - 44;
  const height = top + rows.length * rowHeight + 26;
  const scale = Math.max(devicePixelRatio, 2);
  [canvas.width, canvas.height] = [width * scale, height * scale];
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const names = ["band", "heat", "surface", "good", "control", "value", "high", "quiet"];
  const colour = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  pen.scale(scale, scale);
  const x = (hours) => left + ((width - 2 * left) * (hours + before)) / (before + after);
  pen.fillStyle = colour.band;
  pen.fillRect(x(-ward.window), 0, x(0) - x(-ward.window), height - 22);
  rows.forEach(({ stay, event }, number) => {
    const y = top + number * rowHeight;
    const marks = [];
    for (let row = ward.starts[stay]; row < ward.starts[stay + 1]; row++) {
      const hours = (ward.time[row] - ward.onset[event]) / HOUR;
      if (hours < -before || hours > after) continue;
      const next = row + 1 < ward.starts[stay + 1] ? (ward.time[row + 1] - ward.onset[event]) / HOUR : hours + 1;
      const shade = Number.isNaN(ward.score[row]) ? 0 : Math.min(ward.score[row] / ward.darkest, 1);
      pen.fillStyle = `rgb(${colour.heat} / ${5 + 70 * shade}%)`;
      pen.fillRect(x(hours), y, Math.min(x(next), width - left) - x(hours) - 0.5, rowHeight - 1.5);
      if (alarm[row]) marks.push(hours);
    }
    for (const hours of marks) drawMark(pen, x(hours), y + rowHeight / 2 - 0.7, hours, ward.window, colour);
  });
  pen.fillStyle = colour.high;
  pen.fillRect(x(0) - 0.75, 0, 1.5, height - 22);
  pen.fillStyle = colour.quiet;
  pen.font = "12px system-ui, sans-serif";
  pen.textAlign = "center";
  for (let hours = -before + 3; hours <= after; hours += 3)
    pen.fillText(hourBy(hours), Math.min(x(hours), width - 16), height - 6);
  const cut = lead.length > most ? `${most} of ${lead.length} events, evenly chosen` : `All ${lead.length} events`;
  document.getElementById("raster-about").textContent = `${cut}, the earliest foreseen on top.`;
}

function hourBy(hours) {
  return hours === 0 ? "onset" : `${hours > 0 ? "+" : "−"}${Math.abs(hours)} h`;
}

function drawMark(pen, x, y, hours, window, colour) {
  pen.beginPath();
  pen.arc(x, y, 3.4, 0, 2 * Math.PI);
  const early = hours < -window;
  pen.fillStyle = early ? colour.surface : hours < 0 ? colour.good : colour.control;
  pen.fill();
  pen.lineWidth = early ? 1.8 : 1;
  pen.strokeStyle = early ? colour.value : colour.surface;
  pen.stroke();
}

/* Events by falling lead time, thinned evenly to `most`. */
function eventsShown({ starts, eventStarts }, lead, most) {
  const all = [];
  for (let stay = 0; stay < starts.length - 1; stay++)
    for (let event = eventStarts[stay]; event < eventStarts[stay + 1]; event++) all.push({ stay, event });
  all.sort((a, b) => lead[b.event] - lead[a.event]);
  const step = Math.max(all.length / most, 1);
  return all.filter((_, place) => Math.floor(place / step) !== Math.floor((place - 1) / step));
}

/* The score that is drawn darkest: one in fifty reaches it. */
function darkestOf(scores) {
  const sorted = scores.filter((score) => !Number.isNaN(score)).sort();
  return sorted.length ? Math.max(sorted[Math.floor(0.98 * (sorted.length - 1))], 1e-9) : 1;
}
