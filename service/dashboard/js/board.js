/** The board: who needs someone, then every bed. Both lists keep their order while a hand is on them. */
import { bedText } from "./format.js";
import { html } from "./html.js";
import { NeedsRow } from "./needs.js";
import { byBed, byRisk, held } from "./order.js";
import { rowProperties, tileProperties } from "./rows.js";
import { Tile } from "./tile.js";

const TECHNICAL_ROWS = 5; // more beds without a score than this share one cause and one row

/** An order that is remembered between drawings: `arrange(items)` sorts, or holds what was shown. */
export function createOrder(hold) {
  let shown = [];
  return (items, compare) => {
    const wanted = [...items].sort(compare).map((item) => item.tile.stay_id);
    const next = hold.isHeld() ? held(shown, wanted) : wanted;
    if (shown.some((name, place) => next[place] !== name)) hold.moved();
    shown = next;
    const byName = new Map(items.map((item) => [item.tile.stay_id, item]));
    return { items: next.map((name) => byName.get(name)), waits: next.join() !== wanted.join() };
  };
}

const Waiting = ({ waits }) => waits && html`<span class="waits">order waits for you</span>`;

function Unscored({ items, open }) {
  return html`<li class="row is-technical many">
    <span class="headline"><b>${items.length} beds without a score</b></span>
    <span class="evidence">${items.map(({ tile }) => html`<a key=${tile.stay_id} data-nav data-stay=${tile.stay_id}
      href=${`#/stay/${encodeURIComponent(tile.stay_id)}`}>${bedText(tile)}</a>`)}</span>
    <span class="actions"><button type="button" onClick=${open}>Show reasons</button></span>
  </li>`;
}

/** Open alerts and beds without a score. `view` holds ward, pending, act, order, hold and the fold. */
export function Needs({ items, view }) {
  const { ward, pending, act, needsOrder, needsHold, unfolded, unfold } = view;
  const wanted = items.filter(({ attention }) => (attention.alert && !attention.shelved) || attention.mark === "technical");
  const technical = wanted.filter(({ attention }) => attention.mark === "technical");
  const folded = technical.length > TECHNICAL_ROWS && !unfolded;
  const { items: rows, waits } = needsOrder(folded ? wanted.filter((item) => !technical.includes(item)) : wanted, byRisk);
  const waiting = wanted.filter(({ attention }) => attention.needsAnswer).length;
  const shelved = items.filter(({ attention }) => attention.shelved).length;
  const elsewhere = view.everyone.filter(({ attention }) => attention.needsAnswer).length - waiting;
  const counts = [`${waiting} unanswered`, technical.length && `${technical.length} without a score`,
    shelved && `${shelved} shelved`, elsewhere && `${elsewhere} unanswered in other units`];
  return html`<section class="needs" aria-label="Needs someone" ref=${needsHold.ref}>
    <h2>Needs someone <span class="count">${waiting + technical.length}</span>
      <small>${counts.filter(Boolean).join(" · ")}</small>
      <${Waiting} waits=${waits} /></h2>
    ${wanted.length === 0
      ? html`<p class="nobody">${items.length ? "No open alert. Every bed has a score." : "No bed is monitored here."}</p>`
      : html`<ul>
          ${rows.map((item) => html`<${NeedsRow} key=${item.tile.stay_id} act=${act} ...${rowProperties(item, ward, pending)} />`)}
          ${folded && html`<${Unscored} items=${technical} open=${unfold} />`}
        </ul>`}
  </section>`;
}

/** Every bed of the unit as a tile. */
export function Beds({ items, view }) {
  const { ward, preferences, prefer, bedsOrder, bedsHold } = view;
  const { items: tiles, waits } = bedsOrder(items, preferences.order === "bed" ? byBed : byRisk);
  const choice = (order, words) => html`<button type="button" aria-pressed=${preferences.order === order}
    onClick=${() => prefer({ order })}>${words}</button>`;
  return html`<section class="beds" aria-label="All beds" ref=${bedsHold.ref}>
    <h2>All beds <span class="count">${items.length}</span>
      <span class="choice">${choice("risk", "by risk")}${choice("bed", "by bed")}</span>
      <${Waiting} waits=${waits} /></h2>
    <div class="grid">
      ${tiles.map((item) => html`<${Tile} key=${item.tile.stay_id} ...${tileProperties(item, ward)} />`)}
    </div>
  </section>`;
}
