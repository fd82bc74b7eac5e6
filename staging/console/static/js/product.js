// One product: its data points, from a template or defined here, and the apps that may control it.

import { get, post } from "./api.js";
import { announce, confirm, field, h, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { empty, form, pageHead, title } from "./shell.js";
import "./words/product.js";

export async function show(main, { match, signal }) {
  const path = `/products/${match[1]}`;
  const points = h("section", { class: "card stack", data: { part: "points" } });
  const apps = h("section", { class: "card stack", data: { part: "apps" } });
  const first = await get(path);
  if (signal.aborted) return;
  title(first.name, t("products"));
  put(main,
    h("a", { class: "crumb", href: "/console/products" }, t("backToProducts")),
    pageHead(first.name, t("productLead"), h("span", { class: "chip plain" }, t("deviceCount", { n: first.devices }))),
    h("div", { class: "grid" },
      h("div", { class: "c8 stack wide" }, points, apps),
      h("div", { class: "c4 stack wide" }, fromTemplate(path, first.templates, load), newPoint(path, first.types, load))));
  draw(first);

  async function load() {
    const product = await get(path);
    if (!signal.aborted) draw(product);
  }

  function draw(product) {
    put(points, h("h2", {}, t("dataPoints")),
      product.points.length ? pointTable(product.points, removePoint) : empty(t("noProductPoints"), t("noProductPointsHint")));
    const bound = product.apps.filter((app) => app.bound);
    put(apps, h("h2", {}, t("boundApps")),
      bound.length ? h("ul", { class: "stack tight" }, bound.map(appLine)) : empty(t("noBoundApps"), t("noBoundAppsHint")),
      bindForm(path, product.apps.filter((app) => !app.bound), load));
  }

  /** Ask the user to confirm, send the request, announce it, and reload. */
  async function act(words, where, body, done) {
    if (!await confirm({ ...words, no: t("cancel") })) return;
    try {
      await post(`${path}/${where}`, body);
      announce(done);
      await load();
    } catch (error) {
      announce(errorText(error));
    }
  }

  function removePoint({ name }) {
    const words = { title: t("removePointTitle", { name }), text: t("removePointText"), yes: t("remove") };
    return act(words, "points/remove", { name }, t("pointRemoved", { name }));
  }

  function unbind({ id, name }) {
    const words = { title: t("unbindAppTitle", { name }), text: t("unbindAppText"), yes: t("unbindApp") };
    return act(words, `apps/${id}/unbind`, {}, t("appUnbound", { name }));
  }

  function appLine(app) {
    return h("li", { class: "row between", data: { app: app.name } },
      h("span", {}, app.name, " ", h("span", { class: "small soft" }, `${t(`appType.${app.type}`)} · appId ${app.id}`)),
      h("button", { type: "button", class: "danger", "aria-label": t("unbindAppNamed", { name: app.name }), on: { click: () => unbind(app) } }, t("unbindApp")));
  }
}

function pointTable(points, remove) {
  const cell = (name, text) => h("td", { data: { label: t(name) } }, h("span", {}, text));
  return h("table", { class: "list" },
    h("caption", { class: "sr" }, t("dataPoints")),
    h("thead", {}, h("tr", {}, ["pointName", "pointType", "pattern", "methods"].map((name) => h("th", { scope: "col" }, t(name))), h("th", {}, h("span", { class: "sr" }, t("remove"))))),
    h("tbody", {}, points.map((point) => h("tr", { data: { point: point.name } },
      h("td", {}, h("span", {}, h("strong", { class: "mono" }, point.name), " ", h("span", { class: "small soft" }, point.label))),
      cell("pointType", t(`pointType.${point.type}`)),
      cell("pattern", "min" in (point.pattern ?? {}) ? t("rangeOf", point.pattern) : "–"),
      cell("methods", point.method.map((name) => t(`method.${name}`)).join(", ")),
      h("td", { class: "num" }, h("button", { type: "button", class: "danger", "aria-label": t("removeNamed", { name: point.name }), data: { role: "remove" }, on: { click: () => remove(point) } }, t("remove")))))));
}

function bindForm(path, others, load) {
  if (others.length === 0) return h("p", { class: "soft" }, t("noOtherApps"));
  const app = h("select", { name: "app" }, others.map(({ id, name }) => h("option", { value: id }, `${name} (${id})`)));
  const problem = h("p", { class: "bad", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const chosen = others.find(({ id }) => id === Number(app.value));
      await post(`${path}/apps/${chosen.id}/bind`);
      announce(t("appBound", chosen));
      await load();
    } catch (error) {
      problem.textContent = errorText(error);
    }
  };
  return h("form", { class: "stack tight", data: { role: "bind-app" }, on: { submit } },
    field(t("bindApp"), (attributes) => set(app, attributes)), problem,
    h("div", {}, h("button", { type: "submit" }, t("bind"))));
}

function fromTemplate(path, templates, load) {
  const template = h("select", { name: "template" },
    templates.map(({ name, points }) => h("option", { value: name }, `${name}: ${points.join(", ")}`)));
  const made = form(t("addTemplate"), field(t("template"), (attributes) => set(template, attributes)), t("add"), async () => {
    const { added } = await post(`${path}/points/template`, { template: template.value });
    announce(added.length ? t("templateAdded", { names: added.join(", ") }) : t("templateHad"));
    await load();
  });
  made.dataset.role = "template";
  return made;
}

function newPoint(path, types, load) {
  const text = (name, attributes = {}) => h("input", { name, autocomplete: "off", ...attributes });
  const name = text("name", { required: true, maxlength: 64, spellcheck: "false" });
  const label = text("label", { maxlength: 64 });
  const description = text("description", { maxlength: 255 });
  const type = h("select", { name: "type" }, types.map((key) => h("option", { value: key }, t(`pointType.${key}`))));
  const numbers = ["min", "max", "step"].map((key) => text(key, { type: "number", step: 1 }));
  const pattern = h("fieldset", { class: "stack tight" }, h("legend", {}, t("pattern")), h("p", { class: "small soft" }, t("patternHint")),
    numbers.map((input) => field(t(input.name), (attributes) => set(input, attributes))));
  const drawPattern = () => { pattern.hidden = type.value !== "int"; };
  type.addEventListener("change", drawPattern);
  drawPattern();
  const methods = h("fieldset", {}, h("legend", {}, t("methods")), ["GET", "PUT"].map((method) => h("label", { class: "check" },
    h("input", { type: "checkbox", name: "method", value: method, checked: true }), t(`method.${method}`))));
  const made = form(t("newPoint"), [
    field(t("pointName"), (attributes) => set(name, attributes), t("pointNameHint")),
    field(t("pointLabel"), (attributes) => set(label, attributes)),
    field(t("description"), (attributes) => set(description, attributes)),
    field(t("pointType"), (attributes) => set(type, attributes)),
    pattern, methods,
  ], t("add"), async () => {
    const [low, high] = numbers.map((input) => (input.value === "" ? null : Number(input.value)));
    if (type.value === "int" && low !== null && high !== null && low > high) throw new Error(t("minOverMax", { min: low, max: high }));
    const given = numbers.filter((input) => input.value !== "").map((input) => [input.name, Number(input.value)]);
    const added = await post(`${path}/points`, {
      name: name.value,
      label: label.value,
      description: description.value,
      type: type.value,
      method: [...methods.querySelectorAll("input:checked")].map(({ value }) => value),
      ...(given.length ? { pattern: Object.fromEntries(given) } : {}),
    });
    made.reset();
    drawPattern();
    announce(t("pointAdded", added));
    await load();
  });
  made.dataset.role = "new-point";
  return made;
}
