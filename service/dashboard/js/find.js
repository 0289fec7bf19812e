/** Finding a bed by typing: Enter moves the focus to the first bed that begins with what was typed. */
import { bedText } from "./format.js";

const plain = (text) => text.trim().toLowerCase().replace(/^0+/, "");

/** The stay whose bed is `typed`, or else begins with it; leading zeros do not matter. */
export function matching(tiles, typed) {
  const wanted = plain(typed);
  if (!wanted) return undefined;
  const exact = tiles.find((tile) => plain(bedText(tile)) === wanted);
  return exact ?? tiles.find((tile) => plain(bedText(tile)).startsWith(wanted));
}

/** The two handlers of the find box. */
export function findBed(ward) {
  const found = (input) => matching([...ward.stays.values()], input.value);
  return {
    find: ({ target }) => target.setAttribute("aria-invalid", String(target.value !== "" && !found(target))),
    findKey: (event) => {
      if (event.key !== "Enter") return;
      const stay = found(event.target);
      if (!stay) return;
      event.target.value = "";
      const tile = document.querySelector(`.tile[data-stay="${CSS.escape(stay.stay_id)}"]`);
      if (tile) tile.focus();
      else location.hash = `#/stay/${encodeURIComponent(stay.stay_id)}`;
    },
  };
}
