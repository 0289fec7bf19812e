/** The REST API as two functions; a refusal becomes a Refused with the words of the problem details. */

const PATIENCE_MS = 15_000;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const words = problem.detail ?? problem.title ?? response.statusText;
  return new Refused(response.status, `${words} (${response.status})`);
}

async function ask(path, options) {
  let response;
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    response = await fetch(new URL(path, document.baseURI), { ...options, signal, cache: "no-store" });
  } catch {
    throw new Refused(0, "the service does not answer");
  }
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** GET `path` as JSON. Throws Refused. */
export const get = (path) => ask(path, {});

/** POST `body` as JSON and answer JSON. Throws Refused. */
export const post = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
