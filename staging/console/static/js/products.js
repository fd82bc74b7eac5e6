// Products, their batches, and the devices of a batch; the tokens that bind them are shown once, when they are made.

import { get, post } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { bytes, dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { profileButton, saveFile } from "./profile.js";
import { form, pageHead } from "./shell.js";
import "./words/products.js";

const MADE_SHOWN = 200;

export async function show(main, { signal }) {
  const list = h("div", { class: "stack wide" });
  const made = h("div", { class: "c12" });
  const devices = h("div", { class: "c12" });
  let opened = null;

  async function load() {
    const found = await get("/products");
    if (signal.aborted) return;
    put(main, pageHead(t("products"), t("productsLead"),
        h("p", { class: "soft small", data: { role: "room" } }, t("room", { used: bytes(found.room.used), free: bytes(found.room.free) }))),
      h("div", { class: "grid" }, made, devices, h("div", { class: "c8 stack wide" }, list), h("div", { class: "c4" }, newProduct(found.templates))));
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
      const answer = await post("/products", { name: name.value, template: template.value, testDevices: Number(count.value) });
      put(made, madeCard(name.value, answer));
      announce(t("productAdded"));
      await load();
    });
  }

  function productCard(product) {
    return h("section", { class: "card stack", data: { product: product.name } },
      h("div", { class: "card-head" }, h("h2", {}, product.name), h("span", { class: "chip plain" }, t("deviceCount", { n: product.devices }))),
      h("div", {}, h("a", { href: `/console/products/${product.id}` }, t("setUp"))),
      h("dl", { class: "facts" },
        h("dt", {}, t("dataPoints")), h("dd", {}, product.points.map((p) => (p.label ? `${p.label} (${p.name})` : p.name)).join(", ") || t("none")),
        h("dt", {}, t("boundApps")), h("dd", {}, product.apps.join(", ") || t("none"))),
      h("table", { class: "list" },
        h("caption", { class: "sr" }, t("batches")),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("batch")), h("th", { scope: "col", class: "num" }, t("devices")), h("th", {}, h("span", { class: "sr" }, t("showDevices"))))),
        h("tbody", {}, product.batches.map((batch) => batchLine(product, batch)))),
      newBatch(product));
  }

  function batchLine(product, batch) {
    const click = () => (opened === batch.id ? close() : open(product, batch));
    return h("tr", { data: { batch: batch.name } },
      h("td", {}, batch.name), h("td", { class: "num", data: { label: t("devices") } }, batch.devices),
      h("td", { class: "num" }, h("button", { type: "button", data: { opens: batch.id }, on: { click } }, t("showDevices"))));
  }

  async function open(product, batch) {
    try {
      const found = await get(`/batches/${batch.id}/devices`);
      if (signal.aborted) return;
      opened = batch.id;
      const title = h("h2", { tabindex: "-1" }, t("devicesOf", { product: product.name, batch: batch.name }));
      put(devices, deviceCard(product, batch, found, title, close));
      title.focus({ preventScroll: true });
      title.scrollIntoView({ block: "center" });
    } catch (error) {
      announce(errorText(error));
    }
  }

  /** Close the batch's devices, and go back to where they were asked for. */
  function close() {
    put(devices);
    list.querySelector(`[data-opens="${opened}"]`)?.focus();
    opened = null;
  }

  function newBatch(product) {
    const name = h("input", { name: "batch", required: true, maxlength: 64, autocomplete: "off" });
    const count = h("input", { name: "count", type: "number", min: 1, max: 10000, value: 20, required: true });
    const problem = h("p", { class: "bad", role: "alert" });
    const submit = async (event) => {
      event.preventDefault();
      problem.textContent = "";
      try {
        const answer = await post(`/products/${product.id}/batches`, { name: name.value, count: Number(count.value) });
        put(made, madeCard(product.name, answer));
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

/** The devices that were just made, with what binds them; it is shown nowhere else and not again. */
function madeCard(product, { batch, devices }) {
  if (devices.length === 0) return null;
  const text = devices.map(({ uuid, bindToken }) => `${uuid},${bindToken}\r\n`).join("");
  const save = () => saveFile(new Blob([`uuid,bindToken\r\n${text}`], { type: "text/csv" }), `bind-tokens-${batch}.csv`);
  return h("section", { class: "card stack", data: { part: "made" } },
    h("div", { class: "card-head" }, h("h2", {}, t("madeDevices", { product, batch })), h("button", { type: "button", data: { role: "save-tokens" }, on: { click: save } }, t("saveTokens"))),
    h("p", { class: "note" }, t("madeOnce")),
    table(t("devicesOf", { product, batch }), ["device", "bindToken", "profile"], devices.slice(0, MADE_SHOWN).map((device) => h("tr", {},
      h("td", {}, h("a", { class: "mono", href: `/console/devices/${device.uuid}` }, device.uuid)),
      h("td", { class: "mono small", data: { label: t("bindToken") } }, device.bindToken),
      h("td", { class: "num" }, profileButton(device.uuid))))),
    devices.length > MADE_SHOWN ? h("p", { class: "small soft" }, t("firstShown", { n: MADE_SHOWN })) : null);
}

function deviceCard(product, batch, { devices, limit }, title, close) {
  const listed = new URLSearchParams({ product: product.name, batch: batch.name });
  return h("section", { class: "card stack", data: { part: "batch" } },
    h("div", { class: "card-head" }, title, h("div", { class: "row" },
      h("a", { class: "button", href: `/console/devices?${listed}` }, t("inTheList")), h("button", { type: "button", on: { click: close } }, t("close")))),
    table(title.textContent, ["device", "profile"], devices.map((device) => h("tr", {},
      h("td", {}, h("a", { class: "mono", href: `/console/devices/${device.uuid}` }, device.uuid)),
      h("td", { class: "small", data: { label: t("profile") } }, h("span", {}, device.issued ? t("issuedAt", { time: dateTime(device.issued) }) : t("notIssued")))))),
    devices.length >= limit ? h("p", { class: "small soft" }, t("firstShown", { n: limit })) : null);
}

function table(title, columns, rows) {
  return h("table", { class: "list" },
    h("caption", { class: "sr" }, title),
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, t(name))))),
    h("tbody", {}, rows));
}
