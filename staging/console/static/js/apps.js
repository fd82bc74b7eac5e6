// Apps: the keys that they sign requests with, and the products that they are bound to.

import { get, post } from "./api.js";
import { copyable } from "./copyable.js";
import { announce, confirm, field, h, icon, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { empty, form, pageHead } from "./shell.js";
import "./words/apps.js";

// The parts of the secret of each type of app; the cloud generates a web app's secret.
const PARTS = { web: [], android: ["package", "apkSignature"], ios: ["bundleId"] };

export async function show(main, { signal }) {
  const list = h("div", { class: "stack wide" });
  // The secrets of apps that were made or renewed here; kept while the page is open, and shown nowhere else.
  const secrets = new Map();
  const first = await get("/apps");
  if (signal.aborted) return;
  put(main, pageHead(t("apps"), t("appsLead")),
    h("div", { class: "grid" }, h("div", { class: "c8" }, list), h("div", { class: "c4" }, newApp(first))));
  draw(first.apps);

  async function load() {
    const { apps } = await get("/apps");
    if (!signal.aborted) draw(apps);
  }

  function draw(apps) {
    put(list, apps.length ? apps.map(card) : h("div", { class: "card" }, empty(t("noApps"), t("noAppsHint"))));
  }

  function card(app) {
    const place = h("div", {});
    const shown = () => put(place, secrets.has(app.appId)
      ? [copyable("secret", secrets.get(app.appId)), h("p", { class: "note" }, t("shownOnce"))]
      : renewal(app, shown));
    shown();
    return h("section", { class: "card stack", data: { app: app.name } },
      h("div", { class: "card-head" }, h("h2", {}, app.name), h("span", { class: "chip plain" }, t(`appType.${app.type}`))),
      copyable("appId", String(app.appId)), copyable("apikey", app.apikey), place,
      h("dl", { class: "facts" },
        h("dt", {}, t("products")), h("dd", {}, app.products.length ? app.products.map(productLink) : t("none")),
        h("dt", {}, t("scopes")), h("dd", {}, app.scopes.join(", ")),
        h("dt", {}, t("redirectUris")), h("dd", { class: "small" }, app.redirectUris.join(" "))),
      origins(app));
  }

  /** Which web pages may call the API for the app: a list, and a field for another one. */
  function origins(app) {
    const problem = h("p", { class: "bad", role: "alert" });
    const input = h("input", { name: "origin", required: true, maxlength: 255, autocomplete: "off", spellcheck: "false", placeholder: t("originExample") });
    const change = async (body) => {
      problem.textContent = "";
      try {
        await post(`/apps/${app.appId}/origins`, body);
        announce(t("originsSaved", { name: app.name }));
        await load();
      } catch (error) {
        problem.textContent = errorText(error);
      }
    };
    const line = (origin) => h("li", { class: "row between", data: { origin } }, h("span", { class: "mono small" }, origin),
      h("button", { type: "button", class: "quiet icon", "aria-label": t("removeNamed", { name: origin }), on: { click: () => change({ remove: [origin] }) } }, icon("remove")));
    const submit = (event) => { event.preventDefault(); change({ add: [input.value.trim()] }); };
    return h("details", { open: app.webOrigins.length > 0, data: { part: "origins" } }, h("summary", {}, t("webOrigins", { n: app.webOrigins.length })),
      h("div", { class: "stack tight" },
        h("p", { class: "small soft" }, t("webOriginsHint")),
        app.webOrigins.length ? h("ul", {}, app.webOrigins.map(line)) : null,
        h("form", { on: { submit } }, field(t("webOrigin"), (attributes) => h("div", { class: "row" },
          h("div", { class: "grow" }, set(input, attributes)), h("button", { type: "submit" }, t("add"))))), problem));
  }

  /** What replaces the secret, which nobody is shown again: a button, and what a phone's app signs with. */
  function renewal(app, shown) {
    const parts = PARTS[app.type].map((name) => [name, h("input", { name: `renew-${name}`, required: true, maxlength: 120, autocomplete: "off", spellcheck: "false" })]);
    const renew = async () => {
      if (!await confirm({ title: t("renewSecretTitle", { name: app.name }), text: t("renewSecretText"), yes: t("renewSecret"), no: t("cancel") })) return;
      try {
        const { secret } = await post(`/apps/${app.appId}/secret/renew`, Object.fromEntries(parts.map(([name, input]) => [name, input.value])));
        secrets.set(app.appId, secret);
        shown();
      } catch (error) {
        announce(errorText(error));
      }
    };
    return h("div", { class: "stack tight" },
      parts.map(([name, input]) => field(t(`appPart.${name}`), (attributes) => set(input, attributes))),
      h("div", {}, h("button", { type: "button", data: { role: "renew-secret" }, on: { click: renew } }, t("renewSecret"))));
  }

  function newApp({ types, scopes }) {
    const name = h("input", { name: "name", required: true, maxlength: 64, autocomplete: "off" });
    const type = h("select", { name: "type" }, types.map((key) => h("option", { value: key }, t(`appType.${key}`))));
    const parts = h("div", { class: "stack" });
    const drawParts = () => put(parts, PARTS[type.value].map((key) => field(t(`appPart.${key}`),
      (attributes) => set(h("input", { name: key, required: true, maxlength: 120, autocomplete: "off", spellcheck: "false" }), attributes))));
    type.addEventListener("change", drawParts);
    drawParts();
    const uris = h("textarea", { name: "redirectUris", rows: 2, maxlength: 4000, spellcheck: "false" });
    const allowed = h("fieldset", {}, h("legend", {}, t("scopes")), h("p", { class: "small soft" }, t("scopesHint")),
      scopes.map((scope) => h("label", { class: "check" }, h("input", { type: "checkbox", name: "scope", value: scope }), scope)));
    const made = form(t("newApp"), [
      field(t("appName"), (attributes) => set(name, attributes)),
      field(t("appType"), (attributes) => set(type, attributes)),
      parts,
      field(t("redirectUris"), (attributes) => set(uris, attributes), t("redirectHint")),
      allowed,
    ], t("create"), async () => {
      const app = await post("/apps", {
        name: name.value,
        type: type.value,
        redirectUris: uris.value.split(/\s+/).filter(Boolean),
        scopes: [...allowed.querySelectorAll("input:checked")].map(({ value }) => value),
        ...Object.fromEntries([...parts.querySelectorAll("input")].map((input) => [input.name, input.value])),
      });
      secrets.set(app.appId, app.secret);
      made.reset();
      drawParts();
      announce(t("appAdded", { name: app.name }));
      await load();
    });
    return made;
  }
}

function productLink(product, index) {
  return [index ? ", " : null, h("a", { href: `/console/products/${product.id}` }, product.name)];
}
