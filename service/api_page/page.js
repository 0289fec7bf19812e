/** The API's description as a page: every operation of /openapi.json, with its example ready to be sent. */
import { useState } from "../vendor/hooks.js";
import htm from "../vendor/htm.js";
import { h, render } from "../vendor/preact.js";

const html = htm.bind(h);

const LONGEST_SHOWN = 20_000; // characters: a long stay's answer would stall the page

const exampleOf = (operation, schemas) => {
  const schema = operation.requestBody?.content["application/json"].schema;
  const name = schema?.$ref?.split("/").at(-1);
  return name ? JSON.stringify(schemas[name].examples?.[0] ?? {}, null, 2) : null;
};

const target = (path, parameters, given) => {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(given[name] ?? ""));
  const asked = parameters.filter((one) => one.in === "query" && given[one.name]);
  const query = new URLSearchParams(asked.map((one) => [one.name, given[one.name]]));
  return `..${filled}${asked.length ? `?${query}` : ""}`;
};

const headersOf = (parameters, given, body) => ({
  ...(body === null ? {} : { "content-type": "application/json" }),
  ...Object.fromEntries(
    parameters.filter((one) => one.in === "header" && given[one.name]).map((one) => [one.name, given[one.name]]),
  ),
});

const shown = (text) => {
  let readable = text;
  try {
    readable = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // the metrics are plain text
  }
  return readable.length > LONGEST_SHOWN ? `${readable.slice(0, LONGEST_SHOWN)}\n…` : readable;
};

const send = async (method, path, parameters, given, body) => {
  try {
    const answer = await fetch(target(path, parameters, given), {
      method: method.toUpperCase(),
      headers: headersOf(parameters, given, body),
      body: body ?? undefined,
    });
    return `${answer.status} ${answer.headers.get("content-type") ?? ""}\n\n${shown(await answer.text())}`;
  } catch (failure) {
    return `no answer: ${failure.message}`;
  }
};

const Field = ({ parameter, change }) => {
  const { name, in: place, required, description = "" } = parameter;
  return html`<label><code>${name}</code> <small>${place}${required ? ", required" : ""} ${description}</small>
    <input name=${name} onInput=${(event) => change(event.target.value)} /></label>`;
};

const Operation = ({ method, path, operation, schemas }) => {
  const parameters = operation.parameters ?? [];
  const [given, setGiven] = useState({});
  const [body, setBody] = useState(exampleOf(operation, schemas));
  const [answer, setAnswer] = useState(null);
  const streams = operation.responses["200"]?.content?.["text/event-stream"];
  const submit = async (event) => {
    event.preventDefault();
    setAnswer("…");
    setAnswer(await send(method, path, parameters, given, body));
  };
  return html`<details id=${operation.operationId}>
    <summary><b class=${method}>${method.toUpperCase()}</b> <code>${path}</code></summary>
    <p>${operation.description}</p>
    <form onSubmit=${submit}>
      ${parameters.map((one) => html`<${Field} key=${one.name} parameter=${one}
        change=${(value) => setGiven({ ...given, [one.name]: value })} />`)}
      ${body !== null && html`<label>Body, application/json
        <textarea rows="12" spellcheck="false" value=${body}
          onInput=${(event) => setBody(event.target.value)}></textarea></label>`}
      ${streams
        ? html`<pre>${streams.example}</pre>`
        : html`<button>Send${method === "get" ? "" : " to this service"}</button>`}
    </form>
    ${answer && html`<pre role="status">${answer}</pre>`}
    <ul>${Object.entries(operation.responses).map(([status, { description }]) =>
      html`<li><code>${status}</code> ${description}</li>`)}</ul>
  </details>`;
};

const Page = ({ info, paths, components }) => html`
  <h1>${info.title} API</h1>
  <p>${info.summary}. ${info.description}</p>
  <p>What is sent from this page goes to this very service, and is kept. The whole description with every
    shape: <a href="../openapi.json">openapi.json</a>. <a href="../">The board</a>.</p>
  ${Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) =>
      html`<${Operation} ...${{ method, path, operation, schemas: components.schemas }} />`))}`;

const place = document.getElementById("page");
try {
  const description = await (await fetch("../openapi.json")).json();
  place.replaceChildren();
  render(html`<${Page} ...${description} />`, place);
} catch (failure) {
  place.textContent = `The description could not be read: ${failure.message}`;
}
