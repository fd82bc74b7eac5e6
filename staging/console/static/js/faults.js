// The fault bench on a device's page: one form made from what the cloud says there is, and what is on now.

import { get, post } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import "./words/faults.js";

const LOOK_MS = 2000;
const STANDINGS = ["own", "development"];

/** The banner above the page and the card; call `update` with each state of the device. */
export function faultBench(path, signal) {
  const banner = h("p", { class: "note bad", role: "status", data: { role: "faults-on" }, hidden: true });
  const list = h("ul", { class: "plain stack tight" });
  const kind = h("select", { name: "fault", on: { change: () => drawValues() } });
  const values = h("div", { class: "row" });
  const hint = h("p", { class: "small soft", hidden: true }, t("faultNeedsHelper"));
  const problem = h("p", { class: "bad", role: "alert" });
  const all = h("button", { type: "button", hidden: true, on: { click: () => end({}) } }, t("faultEndAll"));
  const form = h("form", { class: "stack", on: { submit: begin } },
    field(t("faultKind"), (attributes) => set(kind, attributes)), values, hint, problem,
    h("div", { class: "row" }, h("button", { class: "primary", type: "submit", data: { role: "fault-begin" } }, t("faultBegin")), all));
  const element = h("section", { class: "card stack", hidden: true, data: { part: "faults" } },
    h("h2", {}, t("faults")), h("p", { class: "soft" }, t("faultsLead")), list, form);
  let kinds = [];
  let helper = false;
  let timer = 0;
  let shown = null;

  function update({ device }) {
    const names = device.bench ?? [];
    banner.hidden = !names.length;
    banner.textContent = names.length ? t("faultsNow", { names: names.map((name) => t(`fault.${name}`)).join(" · ") }) : "";
    element.hidden = device.bench === null || device.bench === undefined || !STANDINGS.includes(device.standing);
    const now = JSON.stringify(names);
    if (!element.hidden && now !== shown) {
      shown = now;
      load();
    }
  }

  async function load() {
    clearTimeout(timer);
    try {
      draw(await get(`${path}/faults`));
    } catch (error) {
      if (!signal.aborted) problem.textContent = errorText(error);
    }
  }

  function draw(state) {
    if (signal.aborted) return;
    helper = state.helper;
    if (state.kinds && !kinds.length) {
      kinds = state.kinds;
      drawKinds();
    }
    put(list, state.faults.length ? state.faults.map(line) : h("li", { class: "soft" }, t("faultNone")));
    all.hidden = state.faults.length < 2;
    if (state.faults.length) timer = setTimeout(load, LOOK_MS);
  }

  function drawKinds() {
    put(kind, [...grouped(kinds)].map(([where, some]) => h("optgroup", { label: t(`where.${where}`) },
      some.map((each) => h("option", { value: each.name }, t(`fault.${each.name}`))))));
    drawValues();
  }

  function drawValues() {
    const chosen = kinds.find((each) => each.name === kind.value);
    put(values, (chosen?.values ?? []).map((value) => field(t(`value.${value.name}`), (attributes) => set(input(value), attributes))));
    hint.hidden = chosen?.where !== "machine" || helper;
    problem.textContent = "";
  }

  async function begin(event) {
    event.preventDefault();
    problem.textContent = "";
    const given = Object.fromEntries([...values.querySelectorAll("input, select")].map((each) => [each.name, each.value]));
    try {
      draw(await post(`${path}/faults`, { name: kind.value, values: given }));
      announce(t("faultBegun", { name: t(`fault.${kind.value}`) }));
    } catch (error) {
      problem.textContent = errorText(error);
    }
  }

  async function end(which) {
    try {
      draw(await post(`${path}/faults/clear`, which));
      announce(t("faultEnded"));
    } catch (error) {
      problem.textContent = errorText(error);
    }
  }

  function line(fault) {
    const told = Object.entries(fault.values).filter(([name]) => name !== "seconds").map(([, value]) => choice(value)).join(" · ");
    return h("li", { class: "row between", data: { fault: fault.name } },
      h("span", {}, h("strong", {}, t(`fault.${fault.name}`)), told ? ` (${told})` : "", ` · ${t("faultLeft", { seconds: fault.left })}`),
      h("button", { type: "button", on: { click: () => end({ name: fault.name }) } }, t("faultEnd")));
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  return { banner, element, update };
}

function choice(value) {
  return ["both", "to_device", "to_cloud", "state", "outbox", "slot", "any"].includes(value) ? t(`choice.${value}`) : value;
}

function input(value) {
  if (value.choices.length) {
    return h("select", { name: value.name }, value.choices.map((each) => h("option", { value: each, selected: each === value.default }, choice(each))));
  }
  return h("input", { name: value.name, type: "number", required: true, min: value.low, max: value.high, step: 1, value: value.default });
}

function grouped(kinds) {
  const groups = new Map();
  for (const each of kinds) groups.set(each.where, [...(groups.get(each.where) ?? []), each]);
  return groups;
}
