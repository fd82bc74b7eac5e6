// The wire log: the frames of a device as they come, while somebody watches.

import { BASE, get, post } from "./api.js";
import { announce, h, put } from "./dom.js";
import { clock } from "./format.js";
import { errorText, t } from "./i18n.js";
import "./words/wire.js";

const SHOWN = 500;
const RETRY_MS = 3000;

export function wireCard(path, signal) {
  const list = h("ol", { class: "log lines wire", tabindex: "0", "aria-label": t("wire"), hidden: true });
  const nothing = h("p", { class: "soft", hidden: true }, t("wireNothing"));
  const dropped = h("p", { class: "small soft", hidden: true });
  const watch = h("button", { type: "button", "aria-pressed": "false", data: { role: "wire-watch" }, on: { click: () => toggle() } }, t("wireWatch"));
  const keep = h("button", { type: "button", on: { click: keepHour } }, t("wireKeep"));
  const save = h("a", { class: "button", href: `${BASE}${path}/wire.jsonl`, download: "" }, t("wireSave"));
  const element = h("section", { class: "card stack", data: { part: "wire" } },
    h("h2", {}, t("wire")), h("p", { class: "soft" }, t("wireLead")), h("div", { class: "row" }, watch, keep, save), nothing, dropped, list);
  let on = false;
  let after = 0;

  function toggle() {
    on = !on;
    watch.textContent = t(on ? "wireStop" : "wireWatch");
    watch.setAttribute("aria-pressed", String(on));
    if (on) follow();
  }

  async function follow() {
    nothing.hidden = list.children.length > 0;
    while (on && !signal.aborted) {
      try {
        const found = await get(`${path}/wire?after=${after}&wait=1`);
        if (signal.aborted) return;
        add(found);
      } catch (error) {
        if (signal.aborted) return;
        announce(errorText(error));
        await new Promise((done) => { setTimeout(done, RETRY_MS); });
      }
    }
  }

  function add({ entries, dropped: gone, last }) {
    after = Math.max(after, last ?? 0);
    dropped.hidden = !gone;
    dropped.textContent = gone ? t("wireDropped", { count: gone }) : "";
    if (!entries.length) return;
    nothing.hidden = true;
    list.hidden = false;
    list.prepend(...entries.map(line).reverse());
    while (list.children.length > SHOWN) list.lastChild.remove();
  }

  async function keepHour() {
    try {
      const { left } = await post(`${path}/wire`, { seconds: 3600 });
      announce(t("wireKept", { seconds: left }));
    } catch (error) {
      announce(errorText(error));
    }
  }
  return { element };
}

function line(entry) {
  const at = h("time", { datetime: new Date(entry.ts).toISOString() }, clock(entry.ts));
  if (entry.way === "note") return h("li", {}, at, h("span", { class: "soft" }, `#${entry.connection} ${entry.text}`));
  const head = [t(entry.way === "up" ? "wireUp" : "wireDown"), entry.link, t("wireBytes", { size: entry.size }), entry.proven === false ? t("wireUnproven") : null];
  return h("li", { data: { way: entry.way, problem: entry.problem ? "1" : null } }, at,
    h("details", {},
      h("summary", {}, head.filter(Boolean).join(" · "), " ",
        entry.problem ? h("strong", { class: "bad" }, t("wireMalformed", { problem: entry.problem })) : h("span", { class: "mono" }, told(entry.view ?? {}))),
      h("code", { class: "mono hex" }, entry.hex.replace(/(..)/g, "$1 ").trim()),
      entry.view ? put(h("dl", { class: "mono small" }), Object.entries(entry.view).flatMap(([name, value]) =>
        [h("dt", {}, name), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))])) : null));
}

/** A frame in one line: what it is, where it goes, and what it carries. */
function told(view) {
  const text = [view.type, view.code, view.path ?? view.topic, view.payload, view.problem].filter((each) => each !== undefined && each !== "").join(" ");
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
