// Strategies: which devices are offered a released version, and when that begins.

import { get, post } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { askPublish, askWithdraw, phaseText, splitPhases, TONES } from "./rollout.js";
import { empty, form, pageHead } from "./shell.js";
import "./words/strategies.js";

export async function show(main, { signal }) {
  const list = h("div", { class: "card" });
  const [{ versions }, { products }] = await Promise.all([get("/versions"), get("/products")]);
  if (signal.aborted) return;
  put(main, pageHead(t("strategies"), t("strategiesLead")),
    h("div", { class: "grid" }, h("div", { class: "c8" }, list),
      h("div", { class: "c4" }, newStrategy(versions.filter(({ status }) => status === "RELEASED"), products))));
  await load();

  async function load() {
    const { strategies } = await get("/strategies");
    if (signal.aborted) return;
    const at = document.activeElement;
    const focused = list.contains(at) ? at.closest("[data-strategy]")?.dataset.strategy : null;
    put(list, strategies.length ? table(strategies) : empty(t("noStrategies"), t("noStrategiesHint")));
    // Whoever works without a mouse stays at the strategy; where "publish" was, "withdraw" is now.
    if (focused) list.querySelector(`[data-strategy="${focused}"] button`)?.focus();
  }

  function table(strategies) {
    return h("table", { class: "list" },
      h("caption", { class: "sr" }, t("strategies")),
      h("thead", {}, h("tr", {}, ["version", "method", "fromVersions", "batches", "phases", "state"].map((name) => h("th", { scope: "col" }, t(name))), h("th", {}, h("span", { class: "sr" }, t("publish"))))),
      h("tbody", {}, strategies.map(line)));
  }

  function line(strategy) {
    const cell = (name, text) => h("td", { data: { label: t(name) } }, h("span", {}, text));
    return h("tr", { data: { strategy: strategy.id } },
      h("td", {}, h("span", {}, h("a", { href: `/console/strategies/${strategy.id}` }, strategy.version), " ", h("span", { class: "small soft" }, strategy.product))),
      cell("method", t(`type.${strategy.type}`)),
      cell("fromVersions", strategy.from.join(", ") || t("any")),
      cell("batches", strategy.batches.join(", ") || t("any")),
      cell("phases", strategy.phases.map((phase, index) => `${phaseText(phase)}${index < strategy.open ? " ✓" : ""}`).join(", ") || t("allAtOnce")),
      cell("state", h("span", { class: `chip ${TONES[strategy.status] ?? ""}` }, t(`strategy.${strategy.status}`))),
      h("td", { class: "num" }, action(strategy)));
  }

  function action(strategy) {
    if (strategy.status === "DRAFT" || strategy.status === "WITHDRAWN") {
      return h("button", { type: "button", on: { click: () => publish(strategy) } }, t("publish"));
    }
    return h("button", { type: "button", class: "danger", on: { click: () => withdraw(strategy) } }, t("withdraw"));
  }

  async function publish(strategy) {
    if (await askPublish(strategy)) await act(`/strategies/${strategy.id}/publish`, t("published"));
  }

  async function withdraw(strategy) {
    const path = `/strategies/${strategy.id}`;
    const running = await askWithdraw(path);
    if (running) await act(`${path}/withdraw`, t("withdrawn"), { running });
  }

  async function act(path, words, wanted = {}) {
    try {
      await post(path, wanted);
      announce(words);
      await load();
    } catch (error) {
      announce(errorText(error));
    }
  }

  function newStrategy(released, all) {
    if (released.length === 0) return h("div", { class: "card" }, empty(t("noReleased"), t("noStrategiesHint")));
    const version = h("select", { name: "version" }, released.map((entry) => h("option", { value: entry.id }, `${entry.version} · ${entry.product}`)));
    const type = h("select", { name: "type" }, ["PASSIVE", "SILENT"].map((kind) => h("option", { value: kind }, t(`type.${kind}`))));
    const from = h("input", { name: "from", maxlength: 500, autocomplete: "off" });
    const phases = h("textarea", { name: "phases", rows: 3, maxlength: 2000, spellcheck: "false" });
    const batches = h("fieldset", {});
    const chosen = () => released.find(({ id }) => id === Number(version.value));
    const drawBatches = () => {
      const product = all.find(({ id }) => id === chosen().productId);
      put(batches, h("legend", {}, t("batches")), h("p", { class: "small soft" }, t("batchesHint")),
        product.batches.map(({ name }) => h("label", { class: "check" }, h("input", { type: "checkbox", name: "batch", value: name }), name)));
    };
    version.addEventListener("change", drawBatches);
    drawBatches();
    return form(t("newStrategy"), [
      field(t("newVersionLabel"), (attributes) => set(version, attributes)),
      field(t("method"), (attributes) => set(type, attributes)),
      field(t("fromVersions"), (attributes) => set(from, attributes), t("fromHint")),
      batches,
      field(t("phases"), (attributes) => set(phases, attributes), t("phasesHint")),
    ], t("create"), async () => {
      await post("/strategies", {
        productId: chosen().productId,
        version: chosen().version,
        type: type.value,
        from: from.value.split(/[,，\s]+/).filter(Boolean),
        phases: splitPhases(phases.value),
        batches: [...batches.querySelectorAll("input:checked")].map(({ value }) => value),
      });
      announce(t("strategyAdded"));
      await load();
    });
  }
}
