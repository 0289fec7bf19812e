/** One bed: how urgent, how high, which way, how old, who has answered. */
import { bedText, scoreAndSpread, scoreText, trend } from "./format.js";
import { html, memo } from "./html.js";
import { Mark } from "./marks.js";
import { episodeText } from "./recording.js";
import { Sparkline } from "./sparkline.js";

/** What a screen reader says for a tile. */
function spoken({ tile, mark, reason, age, stage, threshold }) {
  const score = reason ? `no score: ${reason}` : `score ${scoreAndSpread(tile.score, threshold)}`;
  const alert = mark === "none" || mark === "technical" ? "" : `${mark} priority alert, ${stage}`;
  const synthetic = tile.synthetic ? "synthetic" : "";
  return [`Bed ${bedText(tile)}`, tile.recording?.condition, alert, score, age, synthetic].filter(Boolean).join(", ");
}

const classes = ({ mark, stale, reason, flashing }) =>
  ["tile", `is-${mark}`, stale && "is-stale", reason && "is-unscored", flashing && "is-open"]
    .filter(Boolean)
    .join(" ");

/** Drawn again only when one of its properties changed: five hundred of them stay smooth. */
export const Tile = memo((properties) => {
  const { tile, mark, flashing, reason, age, stage, threshold } = properties;
  const value = reason ? null : tile.score.value;
  const over = value !== null && value >= threshold;
  return html`<a class=${classes(properties)} href=${`#/stay/${encodeURIComponent(tile.stay_id)}`} data-nav
      data-stay=${tile.stay_id} aria-label=${spoken(properties)}>
    <span class="tile-top">
      <span class="bed">${bedText(tile)}</span>
      <${Mark} kind=${mark} flashing=${flashing} />${tile.recording && html`<span class="kind">${tile.recording.condition}</span>`}
      <span class=${over ? "score over" : "score"} title=${reason ? null : scoreAndSpread(tile.score, threshold)}>${scoreText(value, threshold)}</span>
      <span class="trend">${reason ? "" : trend(tile.change, threshold)}</span>
    </span>
    ${reason
      ? html`<span class="reason" title=${reason}>${reason}</span>`
      : html`<${Sparkline} points=${tile.sparkline} threshold=${threshold} newest=${tile.score} minutes=${tile.recording?.sparkline_minutes} />`}
    <span class="tile-foot"><span class="age">${age}</span><span class="stage">${stage || episodeText(tile.recording?.episode)}</span></span>
    ${tile.synthetic && html`<span class="synthetic">synthetic</span>`}
  </a>`;
});
