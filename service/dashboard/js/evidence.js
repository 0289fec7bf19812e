/** The evidence: the score, then the variables that drive it, then the others, on one time axis. */
import { useMemo, useState } from "../vendor/hooks.js";
import { pastCourses } from "./align.js";
import { html } from "./html.js";
import { stayLink } from "./route.js";
import { ScoreChart } from "./score_chart.js";
import { usePosterior } from "./stay_data.js";
import { VariableChart } from "./variable_chart.js";

const FIRST = 8; // charts before "show all"
const HOUR = 3_600_000;

/** Names of the observed variables: drivers first in their order, then by how often they were observed. */
export function inOrder(observations, drivers) {
  const first = drivers.map((driver) => driver.variable).filter((name) => observations[name]?.length);
  const often = (one, other) => observations[other].length - observations[one].length;
  const rest = Object.keys(observations).filter((name) => observations[name].length && !first.includes(name));
  return [...first, ...rest.sort(often)];
}

const bandOf = (posterior, name) =>
  posterior?.variables[name] ? { time: posterior.time, ...posterior.variables[name] } : null;

function Legend({ failure, similar }) {
  const entry = (kind, words) => html`<span class="entry"><i class=${`key ${kind}`}></i> ${words}</span>`;
  return html`<p class="legend">${entry("prompt", "observed")}${entry("late", "known over 1 h later")}${entry("ended", "corrected or withdrawn")}
    ${failure
      ? html`<span class="reason">no Gaussian-process band: ${failure}</span>`
      : entry("band", "Gaussian-process mean and 95 % band")}
    ${entry("normal", "normal range")}${entry("missing", "no score")}
    ${similar && html`${entry("past septic", "past stays that became septic")}${entry("past", "that did not")}`}
    <small>Click an hour to see the stay as it was known then; drag to zoom, double click for all.</small></p>`;
}

/** Charts of the stay's whole span, from admission to `asOf` or now. */
export function Evidence({ detail, similar, asOf, beat, theme, threshold }) {
  const [all, setAll] = useState(false);
  const { stay, scores, observations, variables, alerts } = detail;
  const names = useMemo(() => inOrder(observations, stay.drivers), [detail]);
  const shown = all ? names : names.slice(0, FIRST);
  const { posterior, failure } = usePosterior(stay.stay_id, asOf, shown, beat);
  const span = useMemo(() => {
    const from = Date.parse(stay.admitted_at);
    return { from, to: Math.max(Date.parse(asOf ?? detail.now), from + HOUR) };
  }, [detail]);
  const bands = useMemo(() => Object.fromEntries(shown.map((name) => [name, bandOf(posterior, name)])), [posterior, shown.join()]);
  const past = useMemo(() => Object.fromEntries(shown.map((name) => [name, pastCourses(similar, name)])), [similar, shown.join()]);
  const pick = (time) => {
    if (time !== null && time < span.to) location.hash = stayLink(stay.stay_id, time);
  };
  return html`<section class="evidence-charts"><h2>Evidence</h2>
    <${ScoreChart} scores=${scores} alerts=${alerts} threshold=${threshold} span=${span} theme=${theme} onPick=${pick} />
    <${Legend} failure=${failure} similar=${similar} />
    ${shown.map((name, index) => html`<${VariableChart} key=${name} name=${name} variable=${variables[name]}
      observations=${observations[name]} band=${bands[name]} past=${past[name]} span=${span} theme=${theme}
      showTime=${index === shown.length - 1} onPick=${pick} />`)}
    ${names.length > FIRST && html`<button type="button" onClick=${() => setAll(!all)}>
      ${all ? "Show fewer" : `Show all ${names.length} variables`}</button>`}
    ${names.length === 0 && html`<p class="quiet">Nothing has been observed.</p>`}
    ${asOf === null && html`<a class="button" href=${stayLink(stay.stay_id, span.to - HOUR)}>As known 1 h ago</a>`}
  </section>`;
}
