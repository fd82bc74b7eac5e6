// The audit log: who did what to which device, and when.

import { BASE, get } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { empty, pageHead } from "./shell.js";
import "./words/audit.js";

const COLUMNS = ["time", "user", "source", "action", "device", "target", "outcome"];

export async function show(main, { signal }) {
  const rows = h("tbody", {});
  const table = h("table", { class: "list" },
    h("caption", { class: "sr" }, t("audit")),
    h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, t(name))))), rows);
  const list = h("div", { class: "card stack" });
  const device = h("input", { name: "device", maxlength: 14, class: "mono", autocomplete: "off", spellcheck: "false" });
  const actor = h("input", { name: "actor", maxlength: 255, autocomplete: "off", spellcheck: "false" });
  const csv = h("a", { class: "button", download: "audit.csv", data: { role: "csv" } }, t("saveCsv"));
  const more = h("button", { type: "button", on: { click: () => load(next) } }, t("older"));
  let next = null;
  const submit = (event) => { event.preventDefault(); load(null); };
  put(main, pageHead(t("audit"), t("auditLead"), csv), h("div", { class: "stack" },
    h("form", { class: "card row", on: { submit } },
      h("div", { class: "grow" }, field(t("auditDevice"), (attributes) => set(device, attributes))),
      h("div", { class: "grow" }, field(t("auditActor"), (attributes) => set(actor, attributes))),
      h("button", { type: "submit" }, t("show"))),
    list));
  await load(null);

  async function load(before) {
    const wanted = new URLSearchParams({ device: device.value.trim(), actor: actor.value.trim() });
    csv.setAttribute("href", `${BASE}/audit.csv?${wanted}`);
    if (before !== null) wanted.set("before", before);
    try {
      const found = await get(`/audit?${wanted}`);
      if (signal.aborted) return;
      next = found.next;
      if (before === null) rows.replaceChildren();
      rows.append(...found.entries.map(line));
      put(list, rows.childElementCount ? [table, next === null ? null : h("div", {}, more)] : empty(t("noEntries"), t("noEntriesHint")));
    } catch (error) {
      announce(errorText(error));
    }
  }
}

function line(entry) {
  const cell = (name, ...shown) => h("td", { data: { label: t(name) } }, h("span", {}, shown));
  return h("tr", { data: { action: entry.action } },
    h("td", {}, h("time", { datetime: entry.time }, dateTime(Date.parse(entry.time)))),
    cell("user", entry.actor || "–", entry.app ? h("span", { class: "soft small" }, ` (${entry.app})`) : null),
    cell("source", t(`from.${entry.source}`)),
    cell("action", h("span", { class: "mono small" }, entry.action)),
    cell("device", entry.device ? h("a", { class: "mono", href: `/console/devices/${entry.device}` }, entry.device) : "–"),
    cell("target", entry.target || "–"),
    cell("outcome", entry.outcome === "done" ? t("outcome.done") : h("span", { class: "chip bad" }, entry.outcome)));
}
