/** One stay, from left to right: why, the evidence on one time axis, what to do. */
import { useState } from "../vendor/hooks.js";
import { attention, stage } from "./attention.js";
import { serviceNow } from "./clock.js";
import { Evidence } from "./evidence.js";
import { bedText, hourMinute, measured, minutesSince, outside, scoreText, span, spreadText, trend, unitText } from "./format.js";
import { History } from "./history.js";
import { html } from "./html.js";
import { Mark } from "./marks.js";
import { Electrodes, Segments } from "./recording.js";
import { Reasons } from "./reasons.js";
import { stayLink } from "./route.js";
import { Similar } from "./similar.js";
import { Actions } from "./stay_actions.js";
import { useSimilar, useStay } from "./stay_data.js";

function changeText(change, threshold) {
  if (change === null) return "";
  const signed = `${change < 0 ? "−" : "+"}${scoreText(Math.abs(change), threshold)}`;
  return `${trend(change, threshold)} ${signed} in 3 h`;
}

function Heading({ stay, read, threshold, now }) {
  const value = read.reason ? null : stay.score.value;
  const person = [stay.age_years !== null && `${Math.round(stay.age_years)} y`, stay.sex].filter(Boolean).join(" ");
  return html`<div class="stay-head">
    <a class="button" href="#/">‹ Board</a>
    ${read.mark !== "none" && html`<${Mark} kind=${read.mark} flashing=${read.needsAnswer && read.mark === "high"} />`}
    <h1>Bed ${bedText(stay)}</h1>
    <span>${stay.care_unit ?? ""}</span><span>${person}</span>
    <span>${span(minutesSince(stay.admitted_at, now))} in unit</span>
    <span class="now-score">score <b>${scoreText(value, threshold)}</b>
      ${" "}${read.reason ? "" : spreadText(stay.score, threshold)} ${read.reason ? "" : changeText(stay.change, threshold)}
      <small> threshold ${scoreText(threshold, threshold)}</small></span>
    ${read.reason && html`<span class="reason">${read.reason}</span>`}
    <span class="stage">${stage(read.alert, now)}</span>
    ${read.stale && html`<span class="age">${read.ageMinutes === null ? "no data yet" : `data ${span(read.ageMinutes)} old`}</span>`}
    ${stay.synthetic && html`<span class="badge synthetic-mark">SYNTHETIC</span>`}
  </div>`;
}

function AsOf({ stayId, asOf, ward }) {
  const [then, now] = [Date.parse(asOf), serviceNow(ward.clock)];
  const step = (hours) => stayLink(stayId, then + hours * 3_600_000);
  return html`<div class="as-of" role="status"><b>As known at ${hourMinute(then, now)}</b>
    <span>${span((now - then) / 60_000)} ago; nothing learnt later is shown</span>
    <a class="button" href=${step(-1)}>1 h earlier</a>
    ${then + 3_600_000 < now && html`<a class="button" href=${step(1)}>1 h later</a>`}
    <a class="button" href=${stayLink(stayId)}>Back to now</a></div>`;
}

// a variable that moves nothing explains nothing
const stands = (driver) => driver.share !== 0;

const Why = ({ stay, variables, threshold, now, past }) => html`<section class="why"><h2>Why</h2>
  ${!stay.drivers.some(stands) && html`<p class="quiet">No variable stands out.</p>`}
  <ul>${stay.drivers.filter(stands).map((driver) => html`<li key=${driver.variable}>
    <span><b>${driver.label}</b></span>
    <span>${measured(driver.value, driver.censored)} ${outside(driver.value, variables[driver.variable]?.normal)}
      ${" "}<small>${unitText(driver.unit)}${driver.time ? ` at ${hourMinute(driver.time, now)}` : ""}</small></span>
    <span class="share">${driver.share >= 0 ? "raises" : "lowers"} the score by ${scoreText(Math.abs(driver.share), threshold)}</span>
  </li>`)}</ul>
  ${stay.score.time && html`<${Reasons} stayId=${stay.stay_id} score=${stay.score} threshold=${threshold} now=${now} />
    <${Similar} ...${past} />`}
</section>`;

const Source = ({ detail }) => html`<details class="source"><summary>Source and configuration</summary>
  <dl>
    <dt>stay, subject</dt><dd><code>${detail.stay.stay_id}</code>, <code>${detail.stay.subject_id}</code></dd>
    <dt>model</dt><dd>${detail.model.name} <code>${detail.model.version}</code></dd>
    <dt>policy</dt><dd><code>${JSON.stringify(detail.policy)}</code></dd>
    <dt>score of</dt><dd>${detail.stay.score.time}</dd>
    <dt>answered at</dt><dd>${detail.now}</dd>
  </dl></details>`;

function Do({ read, detail, asOf, view, now }) {
  const { answers, signed, acknowledge } = view;
  const { alert } = read;
  const answer = (action, body) => new Promise((resolve) => {
    signed((by) => answers.send(alert, action, { by, ...body }).then(resolve));
  });
  const idle = asOf ? "This is a past picture: go back to now to act." : "No open alert.";
  return html`<aside><h2>What to do</h2>
    ${alert && !asOf
      ? html`<${Actions} alert=${alert} needsAnswer=${read.needsAnswer} pending=${answers.pending.get(alert.alert_id)}
          acknowledge=${acknowledge} answer=${answer} />`
      : html`<p class="quiet">${idle}</p>`}
    <h2>History</h2>
    <${History} alerts=${detail.alerts} now=${now} threshold=${detail.policy?.threshold ?? 1} />
    <${Source} detail=${detail} />
  </aside>`;
}

/** The page of a stay, now (`asOf` null) or as it was known at a past moment. */
export function StayPage({ stayId, asOf, view }) {
  const { ward, preferences } = view;
  const tile = ward.stays.get(stayId);
  const { detail, failure, beat } = useStay(stayId, asOf, tile);
  const [open, setOpen] = useState(false); // here, because the charts draw what the panel tells of
  const live = asOf === null && tile;
  const stay = detail && (live ? { ...detail.stay, ...tile } : detail.stay);
  const asked = useSimilar(stayId, stay?.score, open);
  if (!detail) return html`<p class="loading">${failure || "Loading the stay…"} <a href="#/">Board</a></p>`;
  const now = asOf ? Date.parse(asOf) : serviceNow(ward.clock);
  const read = attention(stay, now, ward.clock.speed);
  const { recording } = stay;
  const threshold = recording?.threshold ?? detail.policy?.threshold ?? 1;
  return html`<article class="stay">
    ${asOf && html`<${AsOf} stayId=${stayId} asOf=${asOf} ward=${ward} />`}
    ${failure && html`<p class="failed" role="alert">Not refreshed: ${failure}</p>`}
    <${Heading} stay=${stay} read=${read} threshold=${threshold} now=${now} />
    <div class="stay-body">
      ${recording
        ? html`<${Electrodes} recording=${recording} />`
        : html`<${Why} stay=${stay} variables=${detail.variables} threshold=${threshold} now=${now}
            past=${{ asked, open, setOpen }} />`}
      <div>
        ${recording && html`<${Segments} stay=${stay} asOf=${asOf} beat=${beat} alerts=${detail.alerts} theme=${preferences.theme} />`}
        ${(!recording || detail.scores.length > 0) && html`<${Evidence} detail=${detail} similar=${open ? asked.similar : null}
          asOf=${asOf} beat=${beat} theme=${preferences.theme} threshold=${detail.policy?.threshold ?? 1} />`}
      </div>
      <${Do} read=${read} detail=${detail} asOf=${asOf} view=${view} now=${now} />
    </div>
  </article>`;
}
