// The tags of one device: shown, added and taken away. They are the staff's, and no family sees them.

import { post } from "./api.js";
import { announce, h, icon, put } from "./dom.js";
import { errorText, t } from "./i18n.js";
import "./words/fleet.js";

/** The line of tags below a device's facts; call `update` with each state of the device. */
export function tagLine(path) {
  const list = h("ul", { class: "row" });
  const input = h("input", { name: "tag", maxlength: 32, required: true, autocomplete: "off", "aria-label": t("tagAdd"), placeholder: t("tagAdd") });
  const problem = h("p", { class: "bad", role: "alert" });
  const form = h("form", { class: "row", on: { submit } }, h("div", { class: "grow" }, input), h("button", { type: "submit" }, t("add")));
  const element = h("div", { class: "stack tight", data: { part: "tags" } },
    h("div", { class: "row" }, h("span", { class: "small soft" }, t("tags")), list, form), problem);
  let shown = null;

  function draw(tags) {
    if (JSON.stringify(tags) === shown) return;
    shown = JSON.stringify(tags);
    put(list, tags.map((tag) => h("li", { class: "row tag", data: { tag } },
      h("a", { class: "chip plain", href: `/console/devices?${new URLSearchParams({ tag })}` }, tag),
      h("button", { type: "button", class: "quiet icon", "aria-label": t("tagRemove", { tag }), on: { click: () => change({ remove: [tag] }) } }, icon("remove")))));
  }

  async function change(what) {
    problem.textContent = "";
    try {
      const { tags } = await post(`${path}/tags`, what);
      draw(tags);
      announce(t("tagsSaved"));
      input.focus();
      return true;
    } catch (error) {
      problem.textContent = errorText(error);
      return false;
    }
  }

  async function submit(event) {
    event.preventDefault();
    if (await change({ add: [input.value.trim()] })) input.value = "";
  }

  return { element, update: ({ device }) => draw(device.tags) };
}
