// The list of devices, live.

import { owner, presence, reported, updateBadge } from "./badges.js";
import { h, put } from "./dom.js";
import { ago, dateTime } from "./format.js";
import { t } from "./i18n.js";
import { follow, liveChip } from "./live.js";
import { empty, pageHead } from "./shell.js";
import "./words/devices.js";

const COLUMNS = ["device", "presence", "version", "battery", "volume", "heartbeat", "owner"];

export function show(main, { signal }) {
  const known = new Map();
  let total = null;
  let search = "";
  let stream = new AbortController();
  const live = liveChip();
  const counted = h("p", { class: "small soft", "aria-live": "polite" });
  const list = h("div", { class: "card" }, h("p", { class: "soft" }, t("loading")));
  const input = h("input", { type: "search", id: "search", placeholder: t("search"), maxlength: 64, "aria-label": t("search"), autocomplete: "off", spellcheck: "false" });
  let typing = 0;
  input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => { search = input.value.trim(); open(); }, 250);
  });

  put(main,
    pageHead(t("devices"), t("devicesLead"), live.element),
    h("div", { class: "stack" }, h("div", { class: "row between" }, h("div", { class: "grow" }, input), counted), list));

  function open() {
    stream.abort();
    stream = new AbortController();
    follow(`/live?q=${encodeURIComponent(search)}`, { devices: all, device: one, gone }, live.set, stream.signal);
  }
  signal.addEventListener("abort", () => { stream.abort(); clearInterval(clock); });
  // Times are shown relative to now, so they are redrawn regularly.
  const clock = setInterval(() => {
    for (const [, { row, device }] of known) row.querySelector("[data-cell=heartbeat]").replaceWith(heartbeat(device));
  }, 5000);

  function all({ devices, total: count }) {
    total = count;
    known.clear();
    for (const device of devices) known.set(device.uuid, { device, row: line(device) });
    draw();
  }

  function one(device) {
    const row = line(device);
    row.classList.add("fresh");
    const before = known.get(device.uuid);
    known.set(device.uuid, { device, row });
    if (!before) { total += 1; draw(); return; }
    const focused = before.row.contains(document.activeElement);
    before.row.replaceWith(row);
    if (focused) row.querySelector("a").focus();
  }

  /** A device that is not this account's to see any more. */
  function gone({ uuid }) {
    if (known.delete(uuid)) { total -= 1; draw(); }
  }

  function draw() {
    if (known.size === 0) {
      put(list, search ? empty(t("noMatch"), t("noMatchHint")) : empty(t("noDevices"), t("noDevicesHint")));
      counted.textContent = "";
      return;
    }
    counted.textContent = t("shownOf", { shown: known.size, total });
    put(list, h("table", { class: "list" },
      h("caption", { class: "sr" }, t("devices")),
      h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, t(name))))),
      h("tbody", {}, [...known.values()].map(({ row }) => row))));
  }

  open();
}

function line(device) {
  const cell = (name, ...children) => h("td", { data: { label: t(name), cell: name } }, h("span", {}, children));
  return h("tr", { data: { uuid: device.uuid } },
    h("td", { data: { cell: "device" } }, h("a", { href: `/console/devices/${device.uuid}` }, device.name || h("span", { class: "mono" }, device.uuid)),
      device.name ? h("span", { class: "mono small soft" }, " ", device.uuid) : null),
    cell("presence", presence(device), updateBadge(device)),
    cell("version", device.osVersion),
    cell("battery", reported(device.battery, "%")),
    cell("volume", reported(device.volume, "")),
    heartbeat(device),
    cell("owner", owner(device)));
}

function heartbeat(device) {
  const at = device.lastHeartbeat;
  return h("td", { data: { label: t("heartbeat"), cell: "heartbeat" } }, h("span", { title: at ? dateTime(at) : null }, ago(at)));
}
