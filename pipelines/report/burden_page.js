/* The sliders and what they move. */
const packed = JSON.parse(document.getElementById("ward").textContent);
const ward = Object.assign(openWard(packed), { whole: packed.whole });
ward.darkest = darkestOf(ward.score);
const NAMES = Object.keys(packed.policy);
const LARGEST = { k: 12, n: 12, on_delay_hours: 12, off_delay_hours: 12, refractory_hours: 48 };
const THRESHOLDS = thresholdsOf(ward);
const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const everything = ward.units.map((_, place) => place);
const $ = (id) => document.getElementById(id);
const field = (name) => document.querySelector(`[data-policy="${name}"]`);
const slider = (name) => document.querySelector(`[data-slide="${name}"]`);
let drawing = 0;

/* Thresholds worth trying, falling, from one that nearly no score outside events reaches to one that half of
   them do. */
function thresholdsOf({ score, inside }) {
  const sorted = score.filter((one, row) => !Number.isNaN(one) && !inside[row]).sort();
  if (!sorted.length) return [1];
  const found = new Set();
  for (let step = 0; step <= 240; step++) {
    const share = 1e-4 * 5000 ** (step / 240);
    found.add(Number(sorted[Math.floor((1 - share) * (sorted.length - 1))].toPrecision(4)));
  }
  return [...found].filter((one) => one <= 1).sort((a, b) => b - a);
}

function policyNow() {
  return Object.fromEntries(NAMES.map((name) => [name, Number(field(name).value)]));
}

/* Keep the policy possible: release <= threshold <= 1, k <= n, nothing negative, whole counts. */
function settle(moved) {
  const policy = policyNow();
  for (const name of ["k", "n"]) policy[name] = Math.min(Math.max(Math.round(policy[name]) || 1, 1), 1000);
  if (policy.k > policy.n) policy[moved === "n" ? "k" : "n"] = policy[moved === "n" ? "n" : "k"];
  for (const name of NAMES) if (!(policy[name] >= 0)) policy[name] = 0;
  policy.threshold = Math.min(policy.threshold, 1);
  if (moved === "threshold") policy.release = Number((settle.share * policy.threshold).toPrecision(4));
  policy.release = Math.min(policy.release, policy.threshold);
  if (policy.threshold > 0) settle.share = policy.release / policy.threshold;
  return policy;
}

function show(policy) {
  for (const name of NAMES) {
    if (Number(field(name).value) !== policy[name]) field(name).value = policy[name];
    slider(name).value = positionOf(name, policy);
  }
  const alarm = decide(ward, policy);
  const judged = judge(ward, alarm);
  const found = figures(ward, judged, everything);
  showFigures(found);
  $("policy-in-words").textContent = inWords(policy);
  $("save").href = `data:application/json,${encodeURIComponent(`${JSON.stringify(policy, null, 2)}\n`)}`;
  if ($("units")) showUnits(judged);
  if ($("hours")) drawHours($("hours"), judged.byHour, ward.bedHours);
  drawSoon(policy, found, alarm, judged);
}

function positionOf(name, policy) {
  if (name === "threshold") return THRESHOLDS.filter((one) => one > policy.threshold).length;
  return name === "release" ? Math.round(100 * settle.share) : policy[name];
}

function showFigures(found) {
  for (const output of document.querySelectorAll("[data-figure]")) {
    const value = found[output.dataset.figure];
    output.dataset.value = String(value);
    output.textContent = written(output.dataset.figure, value);
  }
  for (const [name, value] of Object.entries(found)) document.body.dataset[name] = String(value);
  const late = found.late ? `, ${found.late.toLocaleString("en")} of them after an onset` : "";
  $("alarms-more").textContent = `${(found.alarms + found.late).toLocaleString("en")} alarms${late}`;
  $("ppv-more").textContent =
    found.workup_to_detection === null ? "" : `${found.workup_to_detection.toFixed(1)} looked into for one`;
  $("recall-more").textContent = `${found.events_detected} of ${found.events}`;
  $("missed").textContent = `${found.events - found.events_detected} had no alarm in time.`;
  $("lead-more").textContent =
    found.lead_low === null ? "" : `quartiles ${found.lead_low.toFixed(1)} to ${found.lead_high.toFixed(1)} h`;
  showWords(found);
}

function written(name, value) {
  if (value === null) return "–";
  if (name === "precision" || name === "recall") return PERCENT.format(value);
  return name === "lead_time_hours" ? `${value.toFixed(1)} h` : value.toFixed(2);
}

function showWords(found) {
  const rate = found.alarms_per_bed_day;
  $("words").textContent =
    rate === null
      ? ""
      : `On a ward of 20 beds the staff would have been called ${(20 * rate).toFixed(1)} times a day` +
        (found.workup_to_detection === null
          ? ", never in time. "
          : `, and have looked at ${found.workup_to_detection.toFixed(1)} patients to find one whose event was ahead. `);
  if (packed.budget === null || rate === null) return;
  const badge = document.createElement("span");
  const within = rate <= packed.budget;
  badge.className = `budget ${within ? "within" : "over"}`;
  badge.textContent = `${within ? "within" : "over"} the budget of ${packed.budget} a bed and day`;
  $("words").append(badge);
}

function inWords(policy) {
  return (
    `Policy: ${policy.k} of ${policy.n} scores at or above ${policy.threshold}, released below ${policy.release}, ` +
    `on-delay ${policy.on_delay_hours} h, off-delay ${policy.off_delay_hours} h, refractory ${policy.refractory_hours} h.`
  );
}

function showUnits(judged) {
  $("units").replaceChildren(
    ...ward.units.map(({ name, days }, place) => {
      const found = figures(ward, judged, [place]);
      const row = document.createElement("tr");
      row.dataset.unit = name;
      const cells = [
        name,
        Math.round(days).toLocaleString("en"),
        written("alarms_per_bed_day", found.alarms_per_bed_day),
        written("precision", found.precision),
        found.events,
        written("recall", found.recall),
        written("lead_time_hours", found.lead_time_hours),
      ];
      for (const text of cells) row.insertCell().textContent = text;
      for (const one of ["alarms_per_bed_day", "precision", "recall"]) row.dataset[one] = String(found[one]);
      return row;
    }),
  );
}

/* The curve takes tens of simulations: a few at a time, and anew when the policy has moved on. */
function drawSoon(policy, found, alarm, judged) {
  const turn = ++drawing;
  const tried = THRESHOLDS.filter((_, place) => place % Math.ceil(THRESHOLDS.length / 60) === 0);
  const share = policy.threshold > 0 ? policy.release / policy.threshold : 1;
  const points = [];
  const more = () => {
    if (turn !== drawing) return;
    const until = performance.now() + 12;
    while (points.length < tried.length && performance.now() < until) {
      const threshold = tried[points.length];
      const other = { ...policy, threshold, release: Math.min(share * threshold, threshold) };
      points.push({ threshold, ...figures(ward, judge(ward, decide(ward, other)), everything) });
    }
    if (points.length < tried.length) setTimeout(more);
    else drawCurve($("curve"), points, found, packed.budget, take);
  };
  requestAnimationFrame(() => {
    if (turn !== drawing) return;
    drawLeads($("leads"), judged.lead, ward.window);
    drawRaster($("raster"), ward, alarm, judged);
    setTimeout(more);
  });
}

function take(threshold) {
  field("threshold").value = threshold;
  show(settle("threshold"));
}

function reset() {
  for (const name of NAMES) field(name).value = packed.policy[name];
  settle.share = packed.policy.threshold > 0 ? packed.policy.release / packed.policy.threshold : 1;
  show(settle(null));
}

for (const name of NAMES) {
  const range = slider(name);
  if (name === "threshold") range.max = THRESHOLDS.length - 1;
  else if (name !== "release") [range.min, range.max] = [name === "k" || name === "n" ? 1 : 0, LARGEST[name]];
  range.addEventListener("input", () => {
    const position = Number(range.value);
    const threshold = Number(field("threshold").value);
    if (name === "threshold") field(name).value = THRESHOLDS[position];
    else if (name === "release") field(name).value = Number(((threshold * position) / 100).toPrecision(4));
    else field(name).value = position;
    show(settle(name));
  });
  field(name).addEventListener("change", () => show(settle(name)));
}
$("reset").addEventListener("click", reset);
addEventListener("resize", () => show(policyNow()));
// a canvas keeps its colours: paper is light, whatever the screen is
matchMedia("print").addEventListener("change", () => {
  const alarm = decide(ward, policyNow());
  drawRaster($("raster"), ward, alarm, judge(ward, alarm));
});
reset();
