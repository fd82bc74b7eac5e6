// Versions: upload a package, verify it on one device, and pass it.

import { get, post, upload } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { failureText } from "./events.js";
import { bytes, dateTime, percent } from "./format.js";
import { errorText, t } from "./i18n.js";
import { follow, liveChip } from "./live.js";
import { empty, form, pageHead } from "./shell.js";
import { throttle } from "./throttle.js";
import { tone } from "./update.js";
import "./words/versions.js";

export async function show(main, { signal, user }) {
  const operates = user.role === "operator";
  const list = h("div", { class: "stack wide" });
  let found = await get("/versions");
  let cards = new Map();
  if (signal.aborted) return;
  const live = liveChip();
  put(main, pageHead(t("versions"), t("versionsLead"), live.element),
    h("div", { class: "grid" }, h("div", { class: "c8" }, list), operates ? h("div", { class: "c4" }, newVersion(found.products)) : null));
  draw();
  // A verification progresses when its device reports.
  follow("/live?q=", { device: throttle(load, signal) }, live.set, signal);

  async function load() {
    try {
      found = await get("/versions");
      if (!signal.aborted) draw();
    } catch (error) {
      if (!signal.aborted) announce(errorText(error));
    }
  }

  function draw() {
    const before = cards;
    cards = new Map(found.versions.map((version) => [version.id, redrawn(before.get(version.id), version)]));
    const elements = [...cards.values()].map(({ element }) => element);
    const same = elements.length === list.children.length && elements.every((element, index) => element === list.children[index]);
    if (!same || !elements.length) put(list, elements.length ? elements : h("div", { class: "card" }, empty(t("noVersions"), t("noVersionsHint"))));
  }

  /** The card of a version, a new one where it changed; what is being typed into it stays. */
  function redrawn(old, version) {
    const now = JSON.stringify(version);
    if (old?.now === now) return old;
    const element = card(version, load, operates);
    const [typed, input] = [old?.element.querySelector("input[name=uuid]"), element.querySelector("input[name=uuid]")];
    if (typed && input) {
      input.value = typed.value;
      const focused = document.activeElement === typed;
      old.element.replaceWith(element);
      if (focused) input.focus();
    }
    return { now, element };
  }

  function newVersion(products) {
    const product = h("select", { name: "product" }, products.map(({ id, name }) => h("option", { value: id }, name)));
    const version = h("input", { name: "version", required: true, pattern: "[0-9]+(\\.[0-9]+)*", maxlength: 64, autocomplete: "off" });
    const description = h("input", { name: "description", maxlength: 500, autocomplete: "off" });
    const file = h("input", { name: "file", type: "file", required: true });
    return form(t("newVersion"), [
      field(t("product"), (attributes) => set(product, attributes)),
      field(t("version"), (attributes) => set(version, attributes), t("versionHint")),
      field(t("description"), (attributes) => set(description, attributes)),
      field(t("package"), (attributes) => set(file, attributes)),
    ], t("upload"), async (button) => {
      const query = new URLSearchParams({ productId: product.value, version: version.value, description: description.value });
      await upload(`/versions?${query}`, file.files[0], (part) => {
        button.textContent = part < 1 ? t("uploading", { percent: percent(part) }) : t("signing");
      });
      announce(t("uploaded", { version: version.value }));
      version.value = description.value = file.value = "";
      await load();
    });
  }
}

function card(version, load, operates) {
  const released = version.status === "RELEASED";
  return h("section", { class: "card stack", data: { version: version.version } },
    h("div", { class: "card-head" },
      h("h2", {}, version.version, " ", h("span", { class: "small soft" }, version.product)),
      h("span", { class: `chip ${released ? "good" : "warn"}` }, t(`package.${version.status}`))),
    version.description ? h("p", {}, version.description) : null,
    h("dl", { class: "facts" },
      h("dt", {}, t("size")), h("dd", {}, bytes(version.size)),
      h("dt", {}, "SHA-256"), h("dd", { class: "mono small" }, version.sha256),
      h("dt", {}, t("added")), h("dd", {}, dateTime(version.createTime))),
    version.verifications.length ? verifications(version.verifications) : null,
    released ? null : verifyForm(version, load, operates));
}

function verifications(entries) {
  return h("ul", { class: "stack tight", "aria-label": t("verifications") }, entries.map((entry) => h("li", { class: "row" },
    h("a", { class: "mono", href: `/console/devices/${entry.uuid}` }, entry.uuid),
    h("span", { class: `chip ${tone(entry.status)}`, data: { status: entry.status } }, t(`status.${entry.status}`), entry.status === "RUNNING" ? ` ${percent(entry.percent)}` : ""),
    entry.failure ? h("span", { class: "bad small" }, failureText(entry.failure)) : null)));
}

function verifyForm(version, load, operates) {
  const uuid = h("input", { name: "uuid", required: true, pattern: "[0-9a-fA-F]{14}", maxlength: 14, class: "mono", autocomplete: "off", spellcheck: "false" });
  const ready = version.verifications.some((entry) => entry.status === "SUCCESS");
  const act = async (work, words) => {
    try {
      await work();
      uuid.value = "";
      announce(words);
      await load();
    } catch (error) {
      announce(errorText(error));
    }
  };
  const submit = (event) => {
    event.preventDefault();
    act(() => post(`/versions/${version.id}/verify`, { uuid: uuid.value }), t("verifyStarted"));
  };
  return h("div", { class: "stack tight" },
    h("form", { class: "stack tight", on: { submit } }, field(t("verifyOn"), (attributes) => {
      set(uuid, attributes);
      return h("div", { class: "row" }, h("div", { class: "grow" }, uuid), h("button", { type: "submit" }, t("verify")));
    }, t("verifyHint"))),
    operates ? h("div", { class: "row" },
      h("button", { type: "button", class: "primary", disabled: !ready, data: { role: "pass" }, on: { click: () => act(() => post(`/versions/${version.id}/pass`), t("passed")) } }, t("pass")),
      ready ? null : h("span", { class: "small soft" }, t("passHint"))) : null);
}
