// A device's life: what happened, newest first; its past updates; and its diagnosis, fetched when somebody asks.

import { BASE, get, post } from "./api.js";
import { announce, h, put } from "./dom.js";
import { eventText, failureText } from "./events.js";
import { bytes, dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { WORDS } from "./words/book.js";
import "./words/life.js";
import "./words/update.js";

const LOOK_MS = 1000;

/** The cards; they read nothing before they are opened. */
export function lifeCards(path, signal) {
  const cards = [timeline(path, signal), pastUpdates(path, signal), diagnosis(path, signal)];
  return { element: h("section", { class: "card stack", data: { part: "life" } }, h("h2", {}, t("lifeTitle")), cards) };
}

/** A list that is read page by page, when it is opened. */
function paged(name, load, draw, signal, nothing) {
  const list = h("ol", { class: "log lines", tabindex: "0", "aria-label": t(name), hidden: true });
  const empty = h("p", { class: "soft", hidden: true }, t(nothing));
  const more = h("button", { type: "button", class: "quiet", hidden: true, on: { click: () => read(next) } }, t("older"));
  const details = h("details", { data: { part: name }, on: { toggle: () => { if (details.open) read(null); } } }, h("summary", {}, t(name)));
  let next = null;
  let reading = false;

  async function read(before) {
    if (reading) return;
    reading = true;
    try {
      const page = await load(before);
      if (signal.aborted) return;
      const lines = page.items.map(draw);
      if (before) list.append(...lines);
      else put(list, lines);
      next = page.next;
      more.hidden = next === null;
      list.hidden = !list.children.length;
      empty.hidden = !list.hidden;
    } catch (error) {
      if (!signal.aborted) announce(errorText(error));
    } finally {
      reading = false;
    }
  }
  details.append(empty, list, more);
  return details;
}

function timeline(path, signal) {
  const load = async (before) => {
    const { moments, next } = await get(`${path}/life${before ? `?before=${before}` : ""}`);
    return { items: moments, next };
  };
  const card = paged("life", load, momentLine, signal, "lifeNothing");
  card.append(h("p", {}, h("a", { class: "button", href: `${BASE}${path}/life.jsonl`, download: "" }, t("lifeSave"))));
  return card;
}

function momentLine(moment) {
  return h("li", { data: { kind: moment.kind } },
    h("time", { datetime: new Date(moment.ts).toISOString() }, dateTime(moment.ts)), " ", h("span", {}, momentText(moment)));
}

/** What happened, in the reader's words. */
export function momentText(moment) {
  switch (moment.kind) {
    case "event": return eventText(moment);
    case "voice": return moment.erased ? t("life.voiceErased") : t("life.voice", moment);
    case "trouble": return t("trouble", { text: moment.value?.text ?? JSON.stringify(moment.value) });
    case "did": return t("life.did", { who: who(moment), what: what(moment) });
    default: return t(`life.${moment.kind}`, moment);
  }
}

function who({ actor, app, source }) {
  if (app) return t("life.byApp", { who: actor, app });
  return source === "command" ? t("life.byCommand", { who: actor }) : actor;
}

function what({ action, target, outcome }) {
  const key = `did.${action}`;
  const done = [key in WORDS ? t(key) : action, target].filter(Boolean).join(" ");
  return outcome === "done" ? done : done + t("life.refused", { outcome });
}

function pastUpdates(path, signal) {
  const load = async (before) => {
    const { updates, next } = await get(`${path}/updates${before ? `?before=${before}` : ""}`);
    return { items: updates, next };
  };
  return paged("pastUpdates", load, updateLine, signal, "noUpdates");
}

function updateLine(task) {
  const last = task.events.findLast?.((line) => line.event !== null)?.event;
  return h("li", { data: { task: task.id } },
    h("details", {},
      h("summary", {}, dateTime(task.createTime), " ", h("strong", {}, task.version), " ", t(`status.${task.status}`),
        task.failure ? ` · ${failureText(task.failure, last)}` : ""),
      h("ol", { class: "log lines" }, task.events.map((line) => h("li", {}, dateTime(line.ts), " ", eventText(line))))));
}

function diagnosis(path, signal) {
  const status = h("p", { role: "status" });
  const save = h("a", { class: "button", hidden: true, href: `${BASE}${path}/diag.tar.gz`, download: "" }, t("diagSave"));
  const show = h("button", { type: "button", hidden: true, on: { click: showLog } }, t("diagLog"));
  const log = h("pre", { class: "log lines", tabindex: "0", hidden: true });
  const fetch = h("button", { type: "button", data: { role: "diag" }, on: { click: begin } }, t("diagFetch"));
  let timer = 0;

  async function begin() {
    fetch.disabled = true;
    try {
      draw(await post(`${path}/diag`));
    } catch (error) {
      status.textContent = errorText(error);
      fetch.disabled = false;
    }
  }

  async function look() {
    try {
      draw(await get(`${path}/diag`));
    } catch (error) {
      if (!signal.aborted) status.textContent = errorText(error);
      fetch.disabled = false;
    }
  }

  function draw(state) {
    if (signal.aborted) return;
    const goesOn = ["gathering", "fetching"].includes(state.state);
    status.textContent = state.state === "none" ? "" : t(`diag.${state.state}`, { ...state, size: bytes(state.size ?? 0) });
    save.hidden = show.hidden = state.state !== "ready";
    fetch.disabled = goesOn;
    if (goesOn) timer = setTimeout(look, LOOK_MS);
  }

  async function showLog() {
    try {
      const { lines } = await get(`${path}/diag/log`);
      log.hidden = false;
      log.textContent = lines.join("\n");
      log.scrollTop = log.scrollHeight;
    } catch (error) {
      status.textContent = errorText(error);
    }
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  return h("details", { data: { part: "diagnosis" }, on: { toggle: (event) => { if (event.target.open) look(); } } }, h("summary", {}, t("diagnosis")),
    h("div", { class: "stack" }, h("p", { class: "soft" }, t("diagLead")), h("div", { class: "row" }, fetch, save, show), status, log));
}
