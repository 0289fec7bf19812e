/** Where the page is: the board, or a stay now or as it was known at a past moment. */

/** {stay, asOf}, both null on the board; `#/stay/icu-7?as_of=2026-11-22T08:00:00Z`. */
export function currentRoute() {
  const [path, query] = location.hash.slice(1).split("?");
  const found = /^\/stay\/(.+)$/.exec(path);
  if (!found) return { stay: null, asOf: null };
  return { stay: decodeURIComponent(found[1]), asOf: new URLSearchParams(query).get("as_of") };
}

/** The address of a stay; `asOf` is a time in milliseconds or null for now. */
export function stayLink(stayId, asOf = null) {
  const query = asOf === null ? "" : `?as_of=${new Date(asOf).toISOString()}`;
  return `#/stay/${encodeURIComponent(stayId)}${query}`;
}
