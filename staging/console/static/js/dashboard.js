// The overview: how many are online, what is wrong, and how versions and batches do.

import { get, post } from "./api.js";
import { chart } from "./chart.js";
import { announce, field, h, put, set } from "./dom.js";
import { bytes, dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { empty, pageHead } from "./shell.js";
import "./words/dashboard.js";

const HOURS = [1, 6, 24, 168];
const REFRESH_MS = 30000;
const WIDTH = 720;

export async function show(main, { signal }) {
  let hours = Number(new URLSearchParams(location.search).get("hours") ?? 24);
  const choose = h("select", { name: "hours", on: { change: () => { hours = Number(choose.value); history.replaceState(history.state, "", `/console/dashboard?hours=${hours}`); load(); } } },
    HOURS.map((number) => h("option", { value: number, selected: number === hours }, t(`dash.hours.${number}`))));
  const facts = h("div", { class: "card bar", data: { part: "facts" } });
  const online = h("div", {});
  const alarms = h("div", { class: "stack tight", data: { part: "alarms" } });
  const listens = h("div", {});
  const tables = h("div", { class: "stack wide" });
  put(main, pageHead(t("dashboard"), t("dashboardLead"), h("div", {}, field(t("dash.hours"), (attributes) => set(choose, attributes)))),
    h("div", { class: "grid" },
      h("div", { class: "c12" }, facts),
      h("section", { class: "card c7" }, h("h2", {}, t("dash.over")), online),
      h("section", { class: "card c5" }, h("div", { class: "card-head" }, h("h2", {}, t("dash.alarms")), h("a", { href: "/console/webhooks" }, t("dash.webhooks"))), alarms),
      h("div", { class: "c12 stack wide" }, listens, tables)));

  async function load() {
    const found = await get(`/dashboard?hours=${hours}`);
    if (signal.aborted) return;
    const fact = (name, value) => h("div", { class: "fact", data: { fact: name } }, h("span", {}, t(`dash.${name}`)), h("span", {}, value));
    put(facts, fact("online", found.online), fact("devices", found.devices), fact("updating", found.updating), fact("alarms", h("span", { class: found.open ? "bad" : null }, found.open)));
    drawOnline(found);
    put(alarms, found.alarms.length ? found.alarms.map(alarmLine) : empty(t("alarm.none"), t("alarm.noneHint")));
    put(listens, listening(found.listening));
    put(tables, table("dash.versions", found.versions, true), table("dash.batches", found.batches, false));
  }

  function drawOnline(found) {
    if (found.samples.length < 2) { put(online, h("p", { class: "soft" }, t("dash.noSamples"))); return; }
    const numbers = found.samples.map(([ts, count]) => [ts, count]);
    put(online, chart({ label: t("dash.online"), numbers, start: numbers[0][0], end: found.time, low: 0, high: null, width: WIDTH }));
  }

  function alarmLine(alarm) {
    const seen = async () => {
      try {
        await post(`/alarms/${alarm.id}/acknowledge`);
        await load();
      } catch (error) {
        announce(errorText(error));
      }
    };
    const isDevice = alarm.kind !== "version";
    const subject = isDevice ? h("a", { class: "mono", href: `/console/devices/${alarm.subject}` }, alarm.subject) : alarm.subject;
    const state = alarm.state === "acknowledged" ? t("alarm.acknowledged", { by: alarm.acknowledgedBy }) : t(`alarm.${alarm.state}`);
    return h("div", { class: "row between", data: { alarm: alarm.kind } },
      h("div", { class: "grow" }, h("span", { class: `chip ${alarm.state === "open" ? "bad" : ""}` }, t(`alarm.${alarm.kind}`)), " ", subject,
        h("span", { class: "small soft" }, " ", alarm.detail.percent === undefined ? "" : t("alarm.percent", alarm.detail), " ", t("alarm.since", { time: dateTime(Date.parse(alarm.detail.since ?? alarm.opened)) }), " · ", state)),
      alarm.state === "open" ? h("button", { type: "button", on: { click: seen } }, t("alarm.ack")) : null);
  }

  put(facts, h("p", { class: "soft" }, t("loading")));
  await load();
  const again = setInterval(() => { if (!document.hidden) load().catch(() => { /* the next one may succeed */ }); }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(again));
}

function table(title, rows, isVersion) {
  const columns = ["name", "devices", "linkUp", "crashes", "crashFree", "plays", "press", ...(isVersion ? ["updates", "bytes"] : [])];
  return h("section", { class: "card", data: { part: isVersion ? "versions" : "batches" } }, h("h2", {}, t(title)),
    tableOf(title, columns, rows.map((row) => [row, figures(row, isVersion ? "version" : "batch")])));
}

/** Versions and batches whose machines do not hear, do not reach the cloud, or are not understood: the worst first. */
function listening(rows) {
  const columns = ["name", "listened", "micFaults", "unsent", "notUnderstood"];
  const part = (count, of) => (of ? `${count} (${Math.round((count / of) * 100)}%)` : "–");
  const cells = (row) => ({
    name: nameLink(row, row.kind),
    listened: row.listened,
    micFaults: part(row.micFaults, row.listened),
    unsent: part(row.unsent, row.listened),
    notUnderstood: part(row.notUnderstood, row.sentences),
  });
  return h("section", { class: "card", data: { part: "listening" } }, h("h2", {}, t("dash.listening")),
    rows.length === 0 ? h("p", { class: "soft" }, t("dash.listensWell")) : tableOf("dash.listening", columns, rows.map((row) => [row, cells(row)])));
}

function tableOf(title, columns, rows) {
  return h("table", { class: "list" },
    h("caption", { class: "sr" }, t(title)),
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, t(`dash.${name}`))))),
    h("tbody", {}, rows.map(([row, cells]) => h("tr", { data: { name: row.name } },
      columns.map((name) => h("td", { data: { label: t(`dash.${name}`) } }, h("span", {}, cells[name])))))));
}

function nameLink(row, kind) {
  const listed = new URLSearchParams({ product: row.product, [kind]: row.name });
  return h("a", { href: `/console/devices?${listed}` }, row.product, " ", kind === "batch" ? t("dash.batchNamed", { name: row.name }) : row.name);
}

function figures(row, kind) {
  const none = "–";
  return {
    name: nameLink(row, kind),
    devices: row.devices,
    linkUp: row.linkUp === null ? none : `${Math.round(row.linkUp * 100)}%`,
    crashes: row.crashes,
    crashFree: row.crashFreeHours === null ? none : row.crashFreeHours.toFixed(1),
    plays: `${row.plays} (${row.failedPlays})`,
    press: row.pressSeconds === null ? none : t("dash.seconds", { n: row.pressSeconds.toFixed(1) }),
    updates: `${row.updatesSucceeded} / ${row.updatesFailed}`,
    bytes: bytes(row.updateBytes),
  };
}
