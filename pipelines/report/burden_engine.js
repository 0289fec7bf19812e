/* What pipelines/metrics/burden.py computes, in the browser: the same steps in the same order on the same
   numbers, so that both give the same figures (tests/browser/test_burden_page.py). Times are microseconds. */
"use strict";

const HOUR = 3_600_000_000;

/* The ward of the page: typed arrays as in Python, N rows of S stays and E events. */
function openWard(packed) {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
  const rows = new Int32Array(bytes(packed.rows));
  const score = packed.single ? new Float32Array(bytes(packed.score)) : new Float64Array(bytes(packed.score));
  const starts = startsOf(rows);
  const ward = {
    starts,
    score: Float64Array.from(score),
    time: new Float64Array(score.length),
    eventStarts: startsOf(new Int32Array(bytes(packed.count))),
    onset: new Float64Array(bytes(packed.onset)),
    end: new Float64Array(bytes(packed.end)),
    unit: new Int32Array(bytes(packed.unit)),
    units: packed.units,
    bedHours: packed.bedHours,
    window: packed.window,
  };
  const given = new Float64Array(bytes(packed.time)); // every row's time, or each stay's first of even steps
  for (let stay = 0; stay < rows.length; stay++)
    for (let row = starts[stay]; row < starts[stay + 1]; row++)
      ward.time[row] = packed.step ? given[stay] + (row - starts[stay]) * packed.step : given[row];
  ward.inside = insideEvents(ward);
  return ward;
}

function startsOf(counts) {
  const starts = new Int32Array(counts.length + 1);
  counts.forEach((count, place) => (starts[place + 1] = starts[place] + count));
  return starts;
}

/* Which rows lie in an event, its first and last moment included. */
function insideEvents({ starts, time, eventStarts, onset, end }) {
  const inside = new Uint8Array(time.length);
  for (let stay = 0; stay < starts.length - 1; stay++) {
    let event = eventStarts[stay];
    let overAfter = time[starts[stay]] - 1;
    for (let row = starts[stay]; row < starts[stay + 1]; row++) {
      for (; event < eventStarts[stay + 1] && onset[event] <= time[row]; event++)
        overAfter = Math.max(overAfter, end[event]);
      inside[row] = time[row] <= overAfter;
    }
  }
  return inside;
}

/* Which rows alarm: AlarmPolicy.decide. */
function decide({ starts, time, score }, policy) {
  const alarm = new Uint8Array(time.length);
  const { threshold, release, k, n } = policy;
  const [refractory, onDelay, offDelay] = [
    policy.refractory_hours,
    policy.on_delay_hours,
    policy.off_delay_hours,
  ].map((hours) => Math.round(hours * HOUR));
  const recent = new Uint8Array(n);
  for (let stay = 0; stay < starts.length - 1; stay++) {
    recent.fill(0);
    let [reached, heard] = [0, 0];
    let holds = false;
    let [metSince, lowSince, lastAlarm] = [null, null, null];
    let silenced = false;
    for (let row = starts[stay]; row < starts[stay + 1]; row++) {
      const value = score[row];
      if (Number.isNaN(value)) continue;
      const held = holds;
      const met = value >= threshold ? 1 : 0;
      reached += met - recent[heard % n];
      recent[heard % n] = met;
      heard++;
      if (held && value >= release) lowSince = null;
      else if (held) {
        lowSince ??= time[row];
        holds = time[row] - lowSince < offDelay;
        if (!holds) lowSince = null;
      } else if (reached < k) metSince = null;
      else {
        metSince ??= time[row];
        holds = time[row] - metSince >= onDelay;
        if (holds) metSince = null;
      }
      if (!holds || lowSince !== null || (held && !silenced)) continue;
      silenced = lastAlarm !== null && time[row] - lastAlarm < refractory;
      if (silenced) continue;
      alarm[row] = 1;
      lastAlarm = time[row];
    }
  }
  return alarm;
}

/* What the alarms are worth: tallies of each unit, and of each event how long before it the first alarm came
   (-1 where none did). */
function judge(ward, alarm) {
  const { starts, time, eventStarts, onset, inside, unit } = ward;
  const window = Math.round(ward.window * HOUR);
  const tallies = ward.units.map(() => ({ alarms: 0, late: 0, true: 0, events: 0, detected: 0 }));
  const lead = new Float64Array(onset.length).fill(-1);
  const byHour = new Array(24).fill(0);
  for (let stay = 0; stay < starts.length - 1; stay++) {
    const tally = tallies[unit[stay]];
    const last = eventStarts[stay + 1];
    let next = eventStarts[stay];
    for (let row = starts[stay]; row < starts[stay + 1]; row++) {
      if (!alarm[row]) continue;
      byHour[((Math.floor(time[row] / HOUR) % 24) + 24) % 24]++; // before 1970 time is negative
      if (inside[row]) {
        tally.late++;
        continue;
      }
      while (next < last && onset[next] <= time[row]) next++;
      let event = next;
      for (; event < last && onset[event] <= time[row] + window; event++)
        if (lead[event] < 0) lead[event] = onset[event] - time[row];
      tally.alarms++;
      if (event > next) tally.true++;
    }
    for (let event = eventStarts[stay]; event < last; event++) {
      tally.events++;
      if (lead[event] >= 0) tally.detected++;
    }
  }
  return { tallies, lead, byHour };
}

/* The figures of some units together, null where one is undefined. */
function figures(ward, judged, units) {
  const sum = (name) => units.reduce((total, place) => total + judged.tallies[place][name], 0);
  const [alarms, late, right, events, detected] = ["alarms", "late", "true", "events", "detected"].map(sum);
  const whole = units.length === ward.units.length ? ward.whole : ward.units[units[0]];
  const hours = leadHours(ward, judged, units);
  return {
    alarms_per_bed_day: ratio(alarms + late, whole.days),
    precision: ratio(right, alarms),
    recall: ratio(detected, events),
    lead_time_hours: quantile(hours, 0.5),
    lead_low: quantile(hours, 0.25),
    lead_high: quantile(hours, 0.75),
    false_alarms_per_patient_day: ratio(alarms - right, whole.freeDays),
    workup_to_detection: ratio(alarms, right),
    ...{ alarms, late, true_alarms: right, events, events_detected: detected, days: whole.days },
  };
}

function leadHours({ eventStarts, unit }, { lead }, units) {
  const chosen = new Set(units);
  const hours = [];
  for (let stay = 0; stay < unit.length; stay++)
    for (let event = eventStarts[stay]; event < eventStarts[stay + 1]; event++)
      if (chosen.has(unit[stay]) && lead[event] >= 0) hours.push(lead[event] / HOUR);
  return hours.sort((a, b) => a - b);
}

function ratio(part, whole) {
  return whole > 0 ? part / whole : null;
}

/* numpy's median, and its linear quantile, rounding alike. */
function quantile(sorted, share) {
  const count = sorted.length;
  if (!count) return null;
  if (share === 0.5) return (sorted[(count - 1) >> 1] + sorted[count >> 1]) / 2;
  const place = share * (count - 1);
  const below = Math.floor(place);
  const [low, high] = [sorted[below], sorted[Math.min(below + 1, count - 1)]];
  const part = place - below;
  return part >= 0.5 ? high - (high - low) * (1 - part) : low + (high - low) * part;
}
