/** If the board's own program fails, say so over the picture and start again: a frozen board looks calm. */

const RESTART_MS = 15_000;
let failed = false;

function say() {
  if (failed) return;
  failed = true;
  const bar = document.createElement("div");
  bar.className = "trouble";
  bar.setAttribute("role", "alert");
  bar.textContent = "The board itself has failed and starts again. Do not rely on this picture: watch the bedside monitors.";
  document.body.prepend(bar);
  setTimeout(() => location.reload(), RESTART_MS);
}

/** Watch for errors nobody caught. */
export function guardAgainstFailure() {
  window.addEventListener("error", (event) => event.error && say());
  window.addEventListener("unhandledrejection", say);
}
