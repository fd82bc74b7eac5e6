// Strategies: which devices are offered a released version, and when that begins.

import { get, post } from "./api.js";
import { announce, confirm, field, h, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { empty, form, pageHead } from "./shell.js";
import "./words/strategies.js";

const TONES = { PUBLISHED: "good", DRAFT: "warn" };

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
    put(list, strategies.length ? table(strategies) : empty(t("noStrategies"), t("noStrategiesHint")));
  }

  function table(strategies) {
    return h("table", { class: "list" },
      h("caption", { class: "sr" }, t("strategies")),
      h("thead", {}, h("tr", {}, ["version", "method", "fromVersions", "batches", "state"].map((name) => h("th", { scope: "col" }, t(name))), h("th", {}, h("span", { class: "sr" }, t("publish"))))),
      h("tbody", {}, strategies.map(line)));
  }

  function line(strategy) {
    const cell = (name, text) => h("td", { data: { label: t(name) } }, h("span", {}, text));
    return h("tr", { data: { strategy: strategy.id } },
      h("td", {}, h("span", {}, h("strong", {}, strategy.version), " ", h("span", { class: "small soft" }, strategy.product))),
      cell("method", t(`type.${strategy.type}`)),
      cell("fromVersions", strategy.from.join(", ") || t("any")),
      cell("batches", strategy.batches.join(", ") || t("any")),
      cell("state", h("span", { class: `chip ${TONES[strategy.status] ?? ""}` }, t(`strategy.${strategy.status}`))),
      h("td", { class: "num" }, action(strategy)));
  }

  function action(strategy) {
    if (strategy.status === "PUBLISHED") {
      return h("button", { type: "button", class: "danger", on: { click: () => act(`/strategies/${strategy.id}/withdraw`, t("withdrawn")) } }, t("withdraw"));
    }
    return h("button", { type: "button", on: { click: () => publish(strategy) } }, t("publish"));
  }

  async function publish(strategy) {
    const words = { title: t("publishSilentTitle"), text: t("publishSilentText"), yes: t("publish"), no: t("cancel") };
    if (strategy.type === "SILENT" && !await confirm(words)) return;
    await act(`/strategies/${strategy.id}/publish`, t("published"));
  }

  async function act(path, words) {
    try {
      await post(path);
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
    ], t("create"), async () => {
      await post("/strategies", {
        productId: chosen().productId,
        version: chosen().version,
        type: type.value,
        from: from.value.split(/[,，\s]+/).filter(Boolean),
        batches: [...batches.querySelectorAll("input:checked")].map(({ value }) => value),
      });
      announce(t("strategyAdded"));
      await load();
    });
  }
}
