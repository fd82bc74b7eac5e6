// The list of devices: a page of it, live, with what is chosen in its address.

import { BASE, get } from "./api.js";
import { asked, changed, columns, go, keepScroll } from "./address.js";
import { owner, presence, reported, updateBadge } from "./badges.js";
import { bulkBar } from "./bulk.js";
import { order, tools } from "./device_filters.js";
import { h, put } from "./dom.js";
import { ago, dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { follow, liveChip } from "./live.js";
import { empty, pageHead } from "./shell.js";
import "./words/devices.js";
import "./words/fleet.js";

const REDRAW_MS = 5000;

export function show(main, { signal, user }) {
  const known = new Map();
  let page = null;
  let stream = new AbortController();
  let scroll = history.state?.scroll ?? 0;
  const live = liveChip();
  const counted = h("p", { class: "small soft", role: "status", data: { role: "count" } });
  const moved = h("div", { class: "note row between", hidden: true, data: { role: "moved" } });
  const list = h("div", { class: "card" }, h("p", { class: "soft" }, t("loading")));
  const pages = h("nav", { class: "row between", "aria-label": t("pages") });
  const csv = h("a", { class: "button", download: "devices.csv", data: { role: "csv" } }, t("exportCsv"));
  const filters = tools({ open, redraw: draw, signal });
  const bulk = bulkBar({ user, signal, page: () => [...known.values()].map(({ device }) => device), total: () => page?.total ?? 0, redraw: draw });

  put(main,
    pageHead(t("devices"), t("devicesLead"), h("div", { class: "row" }, csv, live.element)),
    h("div", { class: "stack" }, filters.element, h("div", { class: "row between" }, counted, bulk.selectAll), bulk.element, moved, list, pages));

  /** Show another address of the list. */
  function open(wanted, options) {
    go(wanted, options);
    scroll = 0;
    bulk.clear();
    start();
  }

  function start() {
    stream.abort();
    stream = new AbortController();
    filters.draw();
    moved.hidden = true;
    const query = asked();
    csv.setAttribute("href", `${BASE}/devices.csv?${query}`);
    follow(`/live?${query}`, { devices: all, device: one, gone, moved: others }, live.set, stream.signal, refused);
  }

  /** A browser does not say why a stream was refused: the same address without a stream does. */
  async function refused() {
    try {
      await get(`/devices?${asked()}`);
    } catch (error) {
      if (error.status !== 400 || signal.aborted) return;
      stream.abort();
      put(list, empty(t("error.list", { message: errorText(error) }), ""),
        h("div", { class: "empty" }, h("button", { type: "button", on: { click: () => open(new URLSearchParams()) } }, t("showAll"))));
    }
  }
  signal.addEventListener("abort", () => { stream.abort(); clearInterval(clock); });
  // Times are shown relative to now, so they are redrawn regularly.
  const clock = setInterval(() => {
    for (const [, { row, device }] of known) row.querySelector("[data-cell=heartbeat]")?.replaceWith(heartbeat(device));
  }, REDRAW_MS);

  function all(found) {
    if (found.devices.length === 0 && found.page > found.pages) {
      open(pageAddress(found.pages), { replace: true });
      return;
    }
    page = found;
    known.clear();
    for (const device of found.devices) known.set(device.uuid, { device, row: null });
    moved.hidden = true;
    draw();
    if (scroll) scrollTo(0, scroll);
    scroll = 0;
  }

  function one(device) {
    const before = known.get(device.uuid);
    if (!before) return;
    const row = line(device, bulk);
    row.classList.add("fresh");
    known.set(device.uuid, { device, row });
    const focused = before.row.contains(document.activeElement) ? document.activeElement : null;
    before.row.replaceWith(row);
    if (focused) row.querySelector(focused.matches("input") ? "input" : "a").focus();
  }

  /** A device that is not this account's to see any more. */
  function gone({ uuid }) {
    if (!known.delete(uuid)) return;
    page.total -= 1;
    bulk.drop(uuid);
    draw();
  }

  /** Other devices belong on this page now; it does not jump under the reader's hand. */
  function others({ total }) {
    page.total = total;
    counts();
    put(moved, t("listMoved", { total }), h("button", { type: "button", on: { click: start } }, t("reload")));
    moved.hidden = false;
  }

  function pageAddress(number) {
    const wanted = asked();
    if (number > 1) wanted.set("page", number);
    else wanted.delete("page");
    return wanted;
  }

  function counts() {
    const from = (page.page - 1) * page.size + 1;
    counted.textContent = known.size ? t("firstOfAll", { from, to: from + known.size - 1, total: page.total }) : "";
    const link = (number, text, role) => h("button", { type: "button", disabled: number < 1 || number > page.pages, data: { role }, on: { click: () => { open(pageAddress(number)); scrollTo(0, 0); } } }, text);
    put(pages, page.pages > 1 ? [link(page.page - 1, t("previousPage"), "previous"), h("span", { class: "small soft" }, t("pageOf", page)), link(page.page + 1, t("nextPage"), "next")] : []);
  }

  function draw() {
    if (page === null) return;
    counts();
    bulk.draw();
    if (known.size === 0) {
      const isFiltered = [...asked().keys()].some((name) => !["sort", "order", "size", "page"].includes(name));
      put(list, isFiltered ? empty(t("noFilterMatch"), t("noFilterMatchHint")) : empty(t("noDevices"), t("noDevicesHint")));
      return;
    }
    for (const entry of known.values()) entry.row = line(entry.device, bulk);
    put(list, h("table", { class: "list" },
      h("caption", { class: "sr" }, t("devices")),
      h("thead", {}, h("tr", {}, h("th", { class: "pick" }, bulk.pageBox()), columns().map(heading))),
      h("tbody", {}, [...known.values()].map(({ row }) => row))));
  }

  function heading(name) {
    const { sort, down } = order();
    const turn = () => {
      const wanted = changed("sort", name);
      if (name === sort) wanted.set("order", down ? "up" : "down");
      else wanted.delete("order");
      open(wanted);
    };
    const shown = name === sort ? (down ? "descending" : "ascending") : "none";
    return h("th", { scope: "col", "aria-sort": shown }, h("button", { type: "button", class: "heading", data: { sort: name }, on: { click: turn } }, t(`col.${name}`), name === sort ? (down ? " ↓" : " ↑") : ""));
  }

  keepScroll(signal);
  start();
}

function line(device, bulk) {
  return h("tr", { data: { uuid: device.uuid } }, h("td", { class: "pick" }, bulk.box(device)), columns().map((name) => CELLS[name](device)));
}

const cell = (name, ...children) => h("td", { data: { label: t(`col.${name}`), cell: name } }, h("span", {}, children));

const CELLS = {
  device: (device) => h("td", { data: { cell: "device" } }, h("a", { href: `/console/devices/${device.uuid}` }, device.name || h("span", { class: "mono" }, device.uuid)),
    device.name ? h("span", { class: "mono small soft" }, " ", device.uuid) : null),
  presence: (device) => cell("presence", presence(device), updateBadge(device)),
  version: (device) => cell("version", device.osVersion),
  battery: (device) => cell("battery", reported(device.battery, "%")),
  volume: (device) => cell("volume", reported(device.volume, "")),
  product: (device) => cell("product", device.product),
  batch: (device) => cell("batch", device.batch),
  tags: (device) => cell("tags", tagList(device)),
  update: (device) => cell("update", updateText(device)),
  heartbeat: (device) => heartbeat(device),
  owner: (device) => cell("owner", owner(device)),
  added: (device) => cell("added", dateTime(device.added)),
};

function tagList(device) {
  if (device.tags.length === 0) return h("span", { class: "soft" }, "–");
  return device.tags.map((tag) => [h("a", { class: "chip plain", href: `/console/devices?${new URLSearchParams({ tag })}` }, tag), " "]);
}

function updateText(device) {
  const update = device.update;
  if (update === null) return h("span", { class: "soft" }, "–");
  const kind = update.active ? "running" : update.status === "SUCCESS" ? "success" : "failed";
  return h("span", { title: dateTime(update.updateTime) }, update.version, " · ", t(`update.${kind}`));
}

function heartbeat(device) {
  const at = device.lastHeartbeat;
  return h("td", { data: { label: t("col.heartbeat"), cell: "heartbeat" } }, h("span", { title: at ? dateTime(at) : null }, ago(at)));
}
