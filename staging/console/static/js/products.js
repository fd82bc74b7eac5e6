// Products, their batches, and the devices of a batch with the tokens that bind them.

import { get, post } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { profileButton } from "./profile.js";
import { form, pageHead } from "./shell.js";

export async function show(main, { signal }) {
  const list = h("div", { class: "stack wide" });
  let opened = null;

  async function load() {
    const found = await get("/products");
    if (signal.aborted) return;
    put(main, pageHead(t("products"), t("productsLead")),
      h("div", { class: "grid" }, h("div", { class: "c8" }, list), h("div", { class: "c4" }, newProduct(found.templates))));
    put(list, found.products.map(productCard));
  }

  function newProduct(templates) {
    const name = h("input", { name: "name", required: true, maxlength: 64, autocomplete: "off" });
    const template = h("select", { name: "template" }, templates.map((key) => h("option", { value: key }, key)), h("option", { value: "" }, t("noTemplate")));
    const count = h("input", { name: "count", type: "number", min: 0, max: 1000, value: 20, required: true });
    return form(t("newProduct"), [
      field(t("productName"), (attributes) => set(name, attributes)),
      field(t("template"), (attributes) => set(template, attributes)),
      field(t("testDevices"), (attributes) => set(count, attributes)),
    ], t("create"), async () => {
      await post("/products", { name: name.value, template: template.value, testDevices: Number(count.value) });
      announce(t("productAdded"));
      await load();
    });
  }

  function productCard(product) {
    const devices = h("div", {});
    return h("section", { class: "card stack", data: { product: product.name } },
      h("div", { class: "card-head" }, h("h2", {}, product.name), h("span", { class: "chip plain" }, t("deviceCount", { n: product.devices }))),
      h("div", {}, h("a", { href: `/console/products/${product.id}` }, t("setUp"))),
      h("dl", { class: "facts" },
        h("dt", {}, t("dataPoints")), h("dd", {}, product.points.map((p) => (p.label ? `${p.label} (${p.name})` : p.name)).join(", ") || t("none")),
        h("dt", {}, t("boundApps")), h("dd", {}, product.apps.join(", ") || t("none"))),
      h("table", { class: "list" },
        h("caption", { class: "sr" }, t("batches")),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("batch")), h("th", { scope: "col", class: "num" }, t("devices")), h("th", {}, h("span", { class: "sr" }, t("showDevices"))))),
        h("tbody", {}, product.batches.map((batch) => batchLine(batch, devices)))),
      devices, newBatch(product));
  }

  function batchLine(batch, place) {
    const open = async () => {
      if (opened === batch.id) { opened = null; put(place); return; }
      try {
        const found = await get(`/batches/${batch.id}/devices`);
        opened = batch.id;
        put(place, deviceTable(batch, found));
      } catch (error) {
        announce(errorText(error));
      }
    };
    return h("tr", { data: { batch: batch.name } },
      h("td", {}, batch.name), h("td", { class: "num", data: { label: t("devices") } }, batch.devices),
      h("td", { class: "num" }, h("button", { type: "button", on: { click: open } }, t("showDevices"))));
  }

  function newBatch(product) {
    const name = h("input", { name: "batch", required: true, maxlength: 64, autocomplete: "off" });
    const count = h("input", { name: "count", type: "number", min: 1, max: 10000, value: 20, required: true });
    const problem = h("p", { class: "bad", role: "alert" });
    const submit = async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        await post(`/products/${product.id}/batches`, { name: name.value, count: Number(count.value) });
        announce(t("batchAdded"));
        await load();
      } catch (error) {
        problem.textContent = errorText(error);
      }
    };
    return h("details", {}, h("summary", {}, t("newBatch")),
      h("form", { class: "row", on: { submit } },
        h("div", { class: "grow" }, field(t("batchName"), (attributes) => set(name, attributes))),
        h("div", { class: "grow" }, field(t("count"), (attributes) => set(count, attributes))),
        h("button", { type: "submit" }, t("create"))), problem);
  }

  await load();
}

function deviceTable(batch, { devices, limit }) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("devicesOf", { name: batch.name }) },
    h("table", { class: "list" },
      h("caption", { class: "sr" }, t("devicesOf", { name: batch.name })),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("device")), h("th", { scope: "col" }, t("bindToken")), h("th", {}, h("span", { class: "sr" }, t("profile"))))),
      h("tbody", {}, devices.map((device) => h("tr", {},
        h("td", {}, h("a", { class: "mono", href: `/console/devices/${device.uuid}` }, device.uuid)),
        h("td", { class: "mono small", data: { label: t("bindToken") } }, device.bindToken ?? t("unknown")),
        h("td", { class: "num" }, profileButton(device.uuid)))))),
    devices.length >= limit ? h("p", { class: "small soft" }, t("firstShown", { n: limit })) : null);
}
