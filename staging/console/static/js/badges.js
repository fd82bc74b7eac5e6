// What a device is, in one word each: its presence, the update that is under way, whose it is, a value.

import { h } from "./dom.js";
import { percent } from "./format.js";
import { t } from "./i18n.js";
import "./words/badges.js";

/** Whether a device is online; an update changes nothing about that. */
export function presence(device) {
  if (device.online) return h("span", { class: "chip good", data: { presence: "online" } }, t("online"));
  const name = device.status === "UNACTIVATED" ? "unactivated" : "offline";
  return h("span", { class: "chip", data: { presence: name } }, t(name));
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
