// What a device is, in one word each: its presence, the update that is under way, whose it is, a value.

import { serverNow } from "./api.js";
import { h } from "./dom.js";
import { percent } from "./format.js";
import { t } from "./i18n.js";
import "./words/badges.js";

// A device says each minute that it lives, by the document. One that is asked is known to be gone within half a minute; of
// another one that froze nothing more can be said than that it was not heard of, until the cloud gives it up.
const QUIET_MS = 75000;
const TICK_MS = 5000;

/** Whether a device is online; an update changes nothing about that. The badge follows the time while it is shown. */
export function presence(device) {
  if (device.online) return connected(device);
  const name = device.status === "UNACTIVATED" ? "unactivated" : "offline";
  return h("span", { class: "chip", data: { presence: name } }, t(name));
}

function connected({ unasked, lastHeartbeat }) {
  const chip = h("span");
  const show = () => {
    const silent = typeof unasked === "number" ? serverNow() - Math.max(unasked, lastHeartbeat ?? 0) : 0;
    const isQuiet = silent >= QUIET_MS;
    chip.className = `chip ${isQuiet ? "warn" : "good"}`;
    chip.dataset.presence = isQuiet ? "quiet" : "online";
    chip.textContent = isQuiet ? t("quiet", { seconds: Math.floor(silent / 1000) }) : t("online");
  };
  const tick = () => {
    if (!chip.isConnected) return;
    show();
    setTimeout(tick, TICK_MS);
  };
  show();
  if (typeof unasked === "number") setTimeout(tick, TICK_MS);
  return chip;
}

/** The update that is under way, null without one. */
export function updateBadge(device) {
  const state = updateState(device);
  if (state === null) return null;
  return h("span", { class: `chip ${state === "stuck" || state === "queued" ? "warn" : "accent"}`, data: { update: state } },
    t(`updating.${state}`, { percent: percent(device.update.percent), version: device.update.version }));
}

/** What an update that is under way waits for; null: none is. */
export function updateState({ online, update }) {
  if (!update?.active) return null;
  if (update.status === "CREATED") return online ? "ordered" : "queued";
  if (update.status === "INSTALLED") return update.stuck ? "stuck" : "trial";
  return online ? "running" : "halted";
}

/** Whose a device is; a family's name is not shown to others. */
export function owner(device) {
  if (device.mine) return t("mine");
  return device.bound ? t(device.standing === "development" ? "boundToTester" : "boundToFamily") : h("span", { class: "soft" }, t("unbound"));
}

/** A value that a device reported, with its unit. */
export function reported(value, unit) {
  if (value === null || typeof value.value === "object") return h("span", { class: "soft" }, "–");
  return `${value.value}${unit}`;
}
