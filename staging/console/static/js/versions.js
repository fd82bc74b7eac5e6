// Versions: upload a package, verify it on one device, and pass it.

import { get, post, upload } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { bytes, dateTime, percent } from "./format.js";
import { errorText, t } from "./i18n.js";
import { follow } from "./live.js";
import { empty, form, pageHead } from "./shell.js";
import { tone } from "./update.js";

const RELOAD_MS = 800;

export async function show(main, { signal, user }) {
  const operates = user.role === "operator";
  const list = h("div", { class: "stack wide" });
  let found = await get("/versions");
  let drawn = "";
  let waiting = 0;
  if (signal.aborted) return;
  put(main, pageHead(t("versions"), t("versionsLead")),
    h("div", { class: "grid" }, h("div", { class: "c8" }, list), operates ? h("div", { class: "c4" }, newVersion(found.products)) : null));
  draw();
  // A verification progresses when its device reports.
  follow("/live?q=", { device: () => { clearTimeout(waiting); waiting = setTimeout(load, RELOAD_MS); } }, () => {}, signal);
  signal.addEventListener("abort", () => clearTimeout(waiting));

  async function load() {
    try {
      found = await get("/versions");
      if (!signal.aborted) draw();
    } catch (error) {
      announce(errorText(error));
    }
  }

  function draw() {
    const now = JSON.stringify(found.versions);
    // Text that is being typed into a card must not be lost.
    if (now === drawn || list.contains(document.activeElement) && document.activeElement.value) return;
    drawn = now;
    put(list, found.versions.length ? found.versions.map((version) => card(version, load, operates)) : h("div", { class: "card" }, empty(t("noVersions"), t("noVersionsHint"))));
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
    entry.failure ? h("span", { class: "bad small" }, entry.failure) : null)));
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
