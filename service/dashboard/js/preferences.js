/** What this browser remembers between visits: nothing about patients. */

const KEY = "prodrome.board";
const DEFAULTS = { initials: "", theme: "dark", unit: "", order: "risk", singleKeys: true };

/** The remembered preferences over the defaults; storage may be switched off or hold something else. */
export function loadPreferences() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

/** Remember `preferences`; without storage they last until the page is closed. */
export function savePreferences(preferences) {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    return;
  }
}
