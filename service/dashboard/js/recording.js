/** A bed with electrodes: what was detected, where, and which contacts are not to be trusted. */
import { clockTime } from "./format.js";
import { html } from "./html.js";
import { SegmentChart } from "./segment_chart.js";
import { Signal } from "./signal.js";
import { useSegments } from "./stay_data.js";

const NAMED = 3; // ranges of contacts that a row names

/** `LA3–LA5, 18 s` of an episode; a place only where the detector tells one. */
export function episodeText(episode) {
  if (!episode) return "";
  const places = episode.channels.slice(0, NAMED).join(" ") + (episode.channels.length > NAMED ? " …" : "");
  return [places, `${Math.round(episode.seconds)} s${episode.going_on ? " so far" : ""}`].filter(Boolean).join(", ");
}

const Bad = ({ bad }) => {
  if (!bad) return html`<p class="quiet">Not told for a past moment.</p>`;
  if (!bad.length) return html`<p class="quiet">None.</p>`;
  return html`<ul>${bad.map(({ channel, reason }) => html`<li key=${channel}><span><b>${channel}</b></span>
    <span class="share">${reason}</span></li>`)}</ul>`;
};

/** In place of the reasons: the newest episode and the contacts by shaft. */
export function Electrodes({ recording }) {
  const { episode, shafts, bad } = recording;
  const wrong = new Set((bad ?? []).map(({ channel }) => channel));
  return html`<section class="why"><h2>Where</h2>
    ${episode
      ? html`<p>Last detected at <b>${clockTime(episode.began)}</b>: ${episodeText(episode)}</p>`
      : html`<p class="quiet">Nothing detected yet.</p>`}
    <h2>Channels by shaft</h2>
    <ul>${shafts.map(([shaft, names]) => html`<li key=${shaft}><span><b>${shaft || "other"}</b></span>
      <span>${names.map((name) => (wrong.has(name) ? html`<del>${name}</del>${" "}` : `${name} `))}</span></li>`)}</ul>
    <h2>Bad channels</h2>
    <${Bad} bad=${bad} />
  </section>`;
}

/** The evidence of a recording: its segments of the last half hour and, now, the signal of the last minutes. */
export function Segments({ stay, asOf, beat, alerts, theme }) {
  const { answer, failure } = useSegments(stay.stay_id, asOf, beat);
  const segments = answer?.segments ?? [];
  return html`<section class="evidence-charts"><h2>Recording</h2>
    ${failure && html`<p class="reason">Segments cannot be read: ${failure}</p>`}
    ${segments.length > 0
      ? html`<${SegmentChart} segments=${segments} recording=${stay.recording} alerts=${alerts} theme=${theme} />`
      : html`<p class="quiet">No segment yet.</p>`}
    ${asOf === null
      ? html`<${Signal} stay=${stay} scores=${segments} beat=${beat} theme=${theme} />`
      : html`<p class="quiet">The signal is kept for its last minutes only, not for a past moment.</p>`}
  </section>`;
}
