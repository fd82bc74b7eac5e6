// The search, the filters, the order and the columns of the list of devices.

import { get } from "./api.js";
import { FILTERS, SIZES, COLUMNS, asked, changed, columns, keepColumns } from "./address.js";
import { field, h, put, set } from "./dom.js";
import { t } from "./i18n.js";

const VALUES = {
  presence: ["online", "offline", "never"],
  owner: ["own", "development", "free", "family"],
  update: ["running", "failed", "success", "none"],
};
const DOWN = ["presence", "version", "heartbeat", "owner", "update", "added"];
const TYPING_MS = 250;

/** The order of the list: the column, and whether it goes down. */
export function order() {
  const sort = asked().get("sort") ?? "presence";
  const given = asked().get("order");
  return { sort, down: given ? given === "down" : DOWN.includes(sort) };
}

/**
 * The tools above the list. `open(wanted, { replace })` shows another address, `redraw()` the same list with other columns.
 * `draw()` shows the filters of the present address.
 */
export function tools({ open, redraw, signal }) {
  const input = h("input", { type: "search", id: "search", placeholder: t("search"), maxlength: 64, "aria-label": t("search"), autocomplete: "off", spellcheck: "false" });
  const chips = h("div", { class: "row", data: { part: "chips" } });
  const panel = h("div", { class: "fields filters" });
  const quick = h("div", { class: "row quick-sort", data: { part: "quick-sort" } });
  const summary = h("summary", {}, t("filters"));
  let choices = { products: [], tags: [] };
  let typing = 0;
  input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => open(changed("q", input.value.trim()), { replace: true }), TYPING_MS);
  });
  signal.addEventListener("abort", () => clearTimeout(typing));

  function valuesOf(name) {
    if (VALUES[name]) return VALUES[name];
    if (name === "tag") return choices.tags;
    if (name === "product") return choices.products.map((product) => product.name);
    const chosen = asked().getAll("product");
    const of = choices.products.filter((product) => chosen.length === 0 || chosen.includes(product.name));
    return [...new Set(of.flatMap((product) => product[name === "batch" ? "batches" : "versions"]))];
  }

  function filterSelect(name) {
    const taken = asked().getAll(name);
    const add = () => {
      const wanted = asked();
      wanted.delete("page");
      wanted.append(name, select.value);
      open(wanted);
    };
    const select = h("select", { name, on: { change: add } },
      h("option", { value: "" }, "–"),
      valuesOf(name).filter((value) => !taken.includes(value)).map((value) => h("option", { value }, label(name, value))));
    return field(t(`filter.${name}`), (attributes) => set(select, attributes));
  }

  function chip(name, value) {
    const without = () => {
      const wanted = new URLSearchParams([...asked()].filter(([n, v]) => n !== "page" && (n !== name || v !== value)));
      open(wanted);
    };
    const text = `${t(`filter.${name}`)}: ${label(name, value)}`;
    return h("button", { type: "button", class: "chip-button", data: { filter: name }, "aria-label": t("removeFilter", { name: text }), on: { click: without } }, text, " ×");
  }

  function sortFields() {
    const { sort, down } = order();
    const apply = () => {
      const wanted = changed("sort", by.value);
      wanted.set("order", direction.value);
      wanted.set("size", size.value);
      open(wanted);
    };
    const option = (value, text, selected) => h("option", { value, selected }, text);
    const by = h("select", { name: "sort", on: { change: apply } }, COLUMNS.map((name) => option(name, t(`col.${name}`), name === sort)));
    const direction = h("select", { name: "order", on: { change: apply } }, option("up", t("sortUp"), !down), option("down", t("sortDown"), down));
    const shown = Number(asked().get("size") ?? 50);
    const size = h("select", { name: "size", on: { change: apply } }, SIZES.map((number) => option(number, number, number === shown)));
    return [[t("sortBy"), by], [t("sortWay"), direction], [t("pageSize"), size]].map(([text, select]) => field(text, (attributes) => set(select, attributes)));
  }

  function columnBoxes() {
    const chosen = columns();
    const choose = () => {
      keepColumns([...boxes.querySelectorAll("input:checked")].map((box) => box.value));
      redraw();
    };
    const boxes = h("fieldset", { class: "columns" }, h("legend", {}, t("columns")),
      COLUMNS.filter((name) => name !== "device").map((name) => h("label", { class: "check" },
        h("input", { type: "checkbox", value: name, checked: chosen.includes(name), on: { change: choose } }), t(`col.${name}`))));
    return boxes;
  }

  /** What the heads of the table do where a phone hides them: by which column, and which way. */
  function quickSort() {
    const { sort, down } = order();
    const by = h("select", { name: "quick-sort", "aria-label": t("sortBy"), on: { change: () => open(sorted(by.value, DOWN.includes(by.value))) } },
      COLUMNS.map((name) => h("option", { value: name, selected: name === sort }, t(`col.${name}`))));
    const turn = h("button", { type: "button", data: { role: "turn" }, on: { click: () => open(sorted(sort, !down)) } }, t(down ? "sortDown" : "sortUp"), down ? " ↓" : " ↑");
    put(quick, h("span", { class: "small soft" }, t("sortBy")), h("div", { class: "grow" }, by), turn);
  }

  function sorted(name, down) {
    const wanted = changed("sort", name);
    wanted.set("order", down ? "down" : "up");
    return wanted;
  }

  function draw() {
    const wanted = asked();
    if (document.activeElement !== input) input.value = wanted.get("q") ?? "";
    const taken = FILTERS.flatMap((name) => wanted.getAll(name).map((value) => [name, value]));
    summary.textContent = taken.length ? t("filtersOn", { n: taken.length }) : t("filters");
    const clear = h("button", { type: "button", class: "quiet", on: { click: () => open(new URLSearchParams()) } }, t("clearFilters"));
    put(chips, taken.map(([name, value]) => chip(name, value)), taken.length > 1 ? clear : null);
    chips.hidden = taken.length === 0;
    const at = quick.contains(document.activeElement) ? document.activeElement : null;
    quickSort();
    if (at) quick.querySelector(at.matches("select") ? "select" : "button").focus();
    const focused = panel.contains(document.activeElement) ? document.activeElement.name : null;
    put(panel, FILTERS.map(filterSelect), sortFields());
    if (focused) panel.querySelector(`[name="${focused}"]`)?.focus();
  }

  const details = h("details", { class: "card tools" }, summary, panel, columnBoxes());
  details.addEventListener("toggle", async () => {
    if (!details.open) return;
    try {
      choices = await get("/device-filters");
      if (!signal.aborted) draw();
    } catch { /* the filters whose values are known remain */ }
  });
  draw();
  return { element: h("div", { class: "stack tight" }, input, chips, details, quick), draw };
}

/** A filter's value in words. */
export function label(name, value) {
  return VALUES[name]?.includes(value) ? t(`${name}.${value}`) : value;
}
