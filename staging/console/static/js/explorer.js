// The explorer of the open API: choose app, user and endpoint, and see what is signed, the request and its answer.
// Secrets and tokens stay in this page: they are in no address and in no storage.

import { get, getPublic, post } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { pageHead } from "./shell.js";
import { addressOf, asCurl, asJavaScript, asPython, newNonce, signatureBase, signedHeaders } from "./signing.js";
import "./words/endpoints.js";
import "./words/explorer.js";

const DEADLINE_MS = 20000;
const SECRET = "•••";

export async function show(main, { signal }) {
  const [content, description] = await Promise.all([get("/explorer"), getPublic("/openapi.json")]);
  if (signal.aborted) return;
  const endpoints = operations(description);
  const keys = keyFields(content.apps);
  const asked = requestFields(endpoints);
  const shown = requestView(keys, asked);
  const codes = codeButtons(content.codes, { keys, asked, shown });
  for (const part of [keys, asked]) part.element.addEventListener("input", shown.draw);
  put(main, pageHead(t("explorer"), t("explorerLead")),
    h("div", { class: "grid" },
      h("div", { class: "c5 stack wide" }, codes, keys.element, asked.element),
      h("div", { class: "c7 stack wide" }, shown.element)));
  shown.draw();
}

/** The signed endpoints, each with its parameters as [name, required]. */
function operations({ paths, components }) {
  const found = [];
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (!operation.security) continue;
      const query = (operation.parameters ?? []).map(({ name, required }) => [name, Boolean(required)]);
      found.push({ method: method.toUpperCase(), path, text: t(`api.${method}${path.replace("/v1", "").replaceAll("/", ".")}`), query, body: bodyOf(operation, components) });
    }
  }
  return found;
}

function bodyOf(operation, components) {
  const reference = operation.requestBody?.content?.["application/json"]?.schema?.$ref;
  if (!reference) return null;
  const { properties, required = [] } = components.schemas[reference.split("/").at(-1)];
  return Object.keys(properties).map((name) => [name, required.includes(name)]);
}

/** Who asks: an app, its secret, and a user's token. */
function keyFields(apps) {
  const plain = (name, more = {}) => h("input", { name, class: "mono", autocomplete: "off", spellcheck: "false", ...more });
  const app = h("select", { name: "app" }, apps.map((one) => h("option", { value: one.appId }, `${one.name} · appId ${one.appId}`)));
  const apikey = plain("apikey", { readonly: true });
  const secret = plain("secret", { type: "password" });
  const token = plain("token", { type: "password" });
  const user = h("p", { class: "small soft", role: "status" });
  // The secrets that this page has been given, by appId.
  const known = new Map();
  const chosen = () => apps.find(({ appId }) => appId === Number(app.value));

  function choose() {
    apikey.value = chosen()?.apikey ?? "";
    secret.value = known.get(chosen()?.appId) ?? "";
    token.value = "";
    user.textContent = "";
  }

  async function grant() {
    try {
      const given = await post("/explorer/token", { app: Number(app.value) });
      token.value = given.token;
      user.textContent = t("tokenOf", { name: given.user });
      element.dispatchEvent(new Event("input"));
    } catch (error) {
      announce(errorText(error));
    }
  }

  app.addEventListener("change", () => { choose(); element.dispatchEvent(new Event("input")); });
  secret.addEventListener("input", () => known.set(Number(app.value), secret.value));
  const element = h("section", { class: "card stack", data: { part: "keys" } }, h("h2", {}, t("whoAsks")),
    field(t("app"), (attributes) => set(app, attributes)),
    field(t("apikey"), (attributes) => set(apikey, attributes)),
    field(t("secret"), (attributes) => set(secret, attributes), t("secretHint")),
    field(t("accessToken"), (attributes) => set(token, attributes), t("tokenHint")),
    user, h("div", {}, h("button", { type: "button", data: { role: "own-token" }, on: { click: grant } }, t("ownToken"))));
  choose();
  return {
    element,
    values: () => ({ apikey: apikey.value, secret: secret.value, token: token.value }),
    fill(given) {
      if (!apps.some(({ appId }) => appId === given.app.appId)) {
        apps.push(given.app);
        app.append(h("option", { value: given.app.appId }, `${given.app.name} · appId ${given.app.appId}`));
      }
      app.value = given.app.appId;
      known.set(given.app.appId, given.secret);
      choose();
      token.value = given.token;
      user.textContent = t("tokenOf", { name: given.user });
    },
  };
}

/** What is asked: an endpoint and its parameters. */
function requestFields(endpoints) {
  const choice = h("select", { name: "endpoint" }, endpoints.map(({ method, path }, index) => h("option", { value: index }, `${method} ${path}`)));
  const text = h("p", { class: "small soft" });
  const place = h("div", { class: "stack tight" });
  const body = h("textarea", { name: "body", rows: 6, class: "mono", spellcheck: "false" });
  const chosen = () => endpoints[Number(choice.value)];

  function draw(query = {}, given = null) {
    const { text: said, query: parameters, body: members } = chosen();
    text.textContent = said;
    put(place, parameters.map(([name, required]) => field(required ? name : t("optional", { name }),
      (attributes) => set(h("input", { name: `query-${name}`, class: "mono", autocomplete: "off", spellcheck: "false", value: query[name] ?? "" }), attributes))),
      members === null ? null : field(t("body"), (attributes) => set(body, attributes)));
    const example = Object.fromEntries((members ?? []).filter(([, required]) => required).map(([name]) => [name, ""]));
    body.value = JSON.stringify(given ?? example, null, 2);
  }

  const element = h("section", { class: "card stack", data: { part: "asked" } }, h("h2", {}, t("whatIsAsked")),
    field(t("endpoint"), (attributes) => set(choice, attributes)), text, place);
  choice.addEventListener("change", () => draw());
  draw();
  return {
    element,
    /** The request; `body` is null where the endpoint has none, and `bad` says that it is no JSON. */
    value() {
      const { method, path, query, body: members } = chosen();
      const filled = query.map(([name]) => [name, place.querySelector(`[name="query-${name}"]`).value]).filter(([, value]) => value !== "");
      const request = { method, path, query: Object.fromEntries(filled), body: null, bad: false };
      if (members === null) return request;
      try {
        return { ...request, body: JSON.parse(body.value) };
      } catch {
        return { ...request, bad: true };
      }
    },
    fill({ method, path, query, body: given }) {
      choice.value = endpoints.findIndex((one) => one.method === method && one.path === path);
      draw(query, given);
    },
  };
}

/** The request as it is sent, and its answer. */
function requestView(keys, asked) {
  const lines = (name) => h("pre", { class: "log lines", tabindex: "0", "aria-label": t(name), data: { shown: name } });
  const places = Object.fromEntries(["signatureBase", "headers", "curl", "python", "javascript", "answer"].map((name) => [name, lines(name)]));
  const problem = h("p", { class: "bad", role: "alert" });
  const visible = h("input", { type: "checkbox", name: "visible" });
  const button = h("button", { type: "button", class: "primary", data: { role: "send" }, on: { click: () => send() } }, t("send"));
  let nonce = newNonce();

  function draw() {
    const request = asked.value();
    const base = location.origin;
    problem.textContent = request.bad ? t("notJson") : "";
    button.disabled = request.bad;
    const real = { ...keys.values(), nonce };
    const hide = (text) => (visible.checked ? text : hidden(text, real));
    places.signatureBase.textContent = hide(signatureBase(real));
    places.headers.textContent = hide([`${request.method} ${addressOf("", request)}`,
      ...Object.entries(signedHeaders(real)).map(([name, value]) => `${name}: ${value}`)].join("\n"));
    places.curl.textContent = hide(asCurl(base, request, signedHeaders(real)));
    places.python.textContent = hide(asPython(base, request, real));
    places.javascript.textContent = hide(asJavaScript(base, request, real));
  }

  async function send() {
    const request = asked.value();
    const real = { ...keys.values(), nonce };
    problem.textContent = "";
    button.disabled = true;
    try {
      const answer = await fetch(addressOf("", request), {
        method: request.method,
        credentials: "omit",
        headers: { ...signedHeaders(real), ...(request.body === null ? {} : { "Content-Type": "application/json" }) },
        body: request.body === null ? undefined : JSON.stringify(request.body),
        signal: AbortSignal.timeout(DEADLINE_MS),
      });
      places.answer.textContent = `HTTP ${answer.status}\n${pretty(await answer.text())}`;
      places.answer.dataset.status = answer.status;
    } catch {
      problem.textContent = t("error.network");
    }
    // A nonce is good for one request: the next one is signed with another.
    nonce = newNonce();
    draw();
  }

  visible.addEventListener("change", draw);
  const part = (name) => [h("h3", {}, t(name)), places[name]];
  const element = h("section", { class: "card stack", data: { part: "request" } },
    h("div", { class: "card-head" }, h("h2", {}, t("request")), button),
    problem, part("answer"), h("label", { class: "check" }, visible, t("showSecrets")),
    part("signatureBase"), h("p", { class: "small soft" }, t("signatureHint")), part("headers"), part("curl"), part("python"), part("javascript"));
  places.answer.textContent = t("notSent");
  return { element, draw, send };
}

/** The text without the secret and the token. */
function hidden(text, { secret, token }) {
  return [secret, token].filter(Boolean).reduce((shown, value) => shown.replaceAll(value, SECRET), text);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A button for each code: it fills the form with a request that is answered with it, and sends that. */
function codeButtons(codes, { keys, asked, shown }) {
  async function provoke(code) {
    try {
      const made = await post("/explorer/case", { code });
      keys.fill(made);
      asked.fill(made);
      shown.draw();
      await shown.send();
    } catch (error) {
      announce(errorText(error));
    }
  }
  return h("section", { class: "card stack", data: { part: "codes" } }, h("h2", {}, t("codes")), h("p", { class: "small soft" }, t("codesHint")),
    h("div", { class: "row quick" }, codes.map(({ code, meaning }) => h("button", {
      type: "button", title: meaning || t(`code.${code}`), "aria-label": `${code}: ${meaning || t(`code.${code}`)}`, data: { code }, on: { click: () => provoke(code) },
    }, code))));
}
