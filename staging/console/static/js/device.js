// One device: head, controls, update, voice, history and the stream of its reports.

import { get, post, putJson } from "./api.js";
import { owner, presence, reported, updateBadge } from "./badges.js";
import { columns } from "./columns.js";
import { controls } from "./controls.js";
import { announce, confirm, field, h, put, set } from "./dom.js";
import { ago, clock } from "./format.js";
import { readPlayer } from "./grammar.js";
import { membersText, reportedText } from "./events.js";
import { heardCard } from "./heard.js";
import { faultBench } from "./faults.js";
import { historyCard } from "./history.js";
import { errorText, t } from "./i18n.js";
import { lifeCards } from "./life.js";
import { follow, liveChip } from "./live.js";
import { empty, title } from "./shell.js";
import { speechCard } from "./speech.js";
import { tagLine } from "./tags.js";
import { updateCard } from "./update.js";
import { wireCard } from "./wire.js";
import "./words/device.js";
import "./words/advisor.js";

const REPORTS_SHOWN = 200;
// Characters of one of them; the history has all of it.
const REPORT_LENGTH = 300;

export async function show(main, { match, signal, render }) {
  const path = `/devices/${match[1].toLowerCase()}`;
  const first = await get(path);
  const live = liveChip();
  const bench = faultBench(path, signal);
  const advisor = advisorLink(first.device.uuid);
  const head = h("div", {});
  const tags = tagLine(path);
  const body = h("div", {});
  let parts = null;
  let mine = null;
  let shown = null;

  put(main,
    h("a", { class: "crumb", href: "/console/devices" }, t("backToDevices")),
    h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, first.device.name || first.device.uuid), live.element),
    h("div", { class: "stack wide" }, bench.banner, h("div", { class: "card stack" }, head, tags.element), body, bench.element, advisor.element));

  function state(now) {
    const { device } = now;
    main.querySelector("h1").textContent = device.name || device.uuid;
    title(device.name || device.uuid, t("devices"));
    put(head, facts(device));
    tags.update(now);
    if (device.mine !== mine) {
      mine = device.mine;
      parts = mine ? own(path, device, signal) : null;
    }
    const shape = mine ? "own" : device.bound ? "bound" : "free";
    if (shape !== shown) put(body, mine ? parts.root : bindCard(path, device));
    shown = shape;
    bench.update(now);
    advisor.update(device);
    parts?.update(now);
  }

  /** The device may be somebody else's by now, or gone: the page then says so. */
  async function refused() {
    try {
      await get(path);
    } catch (error) {
      if (!signal.aborted && [403, 404].includes(error.status)) render();
    }
  }

  state(first);
  follow(`${path}/live`, { state, report: (entry) => parts?.report(entry), heard: () => parts?.heard() }, live.set, signal, refused);
  const aging = setInterval(() => {
    const cell = head.querySelector("[data-at]");
    if (cell) cell.textContent = ago(Number(cell.dataset.at) || null);
  }, 5000);
  signal.addEventListener("abort", () => clearInterval(aging));
}

function facts(device) {
  const fact = (name, ...shown) => h("div", { class: "fact", data: { fact: name } }, h("span", {}, t(name)), h("span", {}, shown));
  return h("div", { class: "stack" },
    h("div", { class: "bar" },
      fact("presence", presence(device), " ", updateBadge(device)),
      fact("version", device.osVersion),
      fact("supportEnd", supportEnd(device)),
      fact("battery", reported(device.battery, "%")),
      fact("volume", reported(device.volume, "")),
      fact("heartbeat", h("span", { data: { at: device.lastHeartbeat ?? "" } }, ago(device.lastHeartbeat))),
      fact("product", device.product),
      fact("batch", device.batch),
      fact("owner", owner(device)),
      device.name ? fact("device", h("span", { class: "mono" }, device.uuid)) : null),
    device.twin ? h("p", { class: "note bad" }, t("twin")) : null,
    device.bindTokenRenewal === "waiting" ? h("p", { class: "note" }, t("renewalWaiting")) : null,
    device.bindTokenRenewal === "cannot" ? h("p", { class: "note bad" }, t("renewalCannot")) : null,
    device.bindTokenDiffers ? h("p", { class: "note bad" }, t("tokenDiffers")) : null);
}

/** The way to the advisor, for whom the device may be checked. */
function advisorLink(uuid) {
  const element = h("p", { hidden: true }, h("a", { class: "button", href: `/console/devices/${uuid}/advisor`, data: { role: "advisor" } }, t("advisorOpen")));
  return { element, update: ({ standing }) => { element.hidden = !["own", "development"].includes(standing); } };
}

/** Until when faults of what the device runs are mended; the day itself still counts, as UTC has it. */
function supportEnd({ supportEnd: day }) {
  if (!day) return t("unknown");
  const over = day < new Date().toISOString().slice(0, 10);
  return over ? h("span", { class: "bad" }, t("supportOver", { day })) : day;
}

function bindCard(path, device) {
  if (device.bound) return h("div", { class: "card" }, h("p", {}, t("boundToOther")));
  const token = h("input", { name: "token", required: true, autocomplete: "off", spellcheck: "false", class: "mono", maxlength: 32 });
  const problem = h("p", { class: "bad", role: "alert" });
  const form = h("form", { class: "stack", on: { submit } },
    field(t("bindToken"), (attributes) => set(token, attributes), t("bindTokenHint")),
    problem, h("div", {}, h("button", { class: "primary", type: "submit" }, t("bind"))));

  async function submit(event) {
    event.preventDefault();
    problem.textContent = "";
    try {
      await post(`${path}/bind`, { token: token.value.trim() });
      announce(t("bound"));
    } catch (error) {
      problem.textContent = errorText(error);
      token.focus();
    }
  }
  return h("section", { class: "card stack", data: { part: "bind" } }, h("h2", {}, t("bindTitle")), h("p", { class: "soft" }, t("bindLead")), form);
}

/** The part of the page that only the device's owner sees. */
function own(path, device, signal) {
  const control = controls(path, signal);
  const update = updateCard(path);
  const heard = heardCard(path, signal);
  const speech = speechCard(path, signal);
  const history = historyCard(path, signal);
  const wire = wireCard(path, signal);
  const life = lifeCards(path, signal);
  const stream = reportStream();
  // A phone shows them one below the other: the update and the controls first.
  const cards = columns([update.element, control.player, control.element, control.family, heard.element, speech.element,
    stream.element, settings(path, device)], signal);
  let described = "";
  return {
    root: h("div", { class: "stack wide" }, cards.element, history.element, life.element, wire.element),
    update(now) {
      control.update(now.points, now.device.online);
      update.update(now);
      history.points(now.points);
      speech.update(now);
      const description = JSON.stringify(now.points);
      if (description !== described) cards.arrange();
      described = description;
    },
    heard() {
      heard.changed();
      speech.heard();
    },
    report(entry) {
      stream.add(entry);
      if (entry.voice || entry.key === "utterance_times") speech.heard();
      if (!entry.voice) {
        control.reported(entry);
        history.reported(entry);
      }
    },
  };
}

function reportStream() {
  const list = h("ol", { class: "log", reversed: true, tabindex: "0", "aria-label": t("reports"), hidden: true });
  const nothing = empty(t("noReports"), t("noReportsHint"));
  const element = h("section", { class: "card", data: { part: "reports" } }, h("h2", {}, t("reports")), nothing, list);
  return {
    element,
    add(entry) {
      nothing.remove();
      list.hidden = false;
      list.prepend(h("li", { data: { key: entry.key } },
        h("time", { datetime: new Date(entry.ts).toISOString() }, clock(entry.ts)),
        h("span", { class: "key" }, entry.key),
        h("span", {}, reportText(entry))));
      while (list.children.length > REPORTS_SHOWN) list.lastChild.remove();
    },
  };
}

function reportText({ key, voice, value: reported }) {
  if (voice) return t(voice.eof ? "voiceEnd" : "voiceSegment", voice);
  const told = reportedText(key, reported);
  if (told !== null) return shortened(told);
  // The player's card shows all of it; 1,000 characters would hide the other reports.
  const playing = key === "player" ? readPlayer(reported) : null;
  return playing ? [t(`state.${playing.state}`), playing.title].filter(Boolean).join(" · ") : shortened(membersText(reported));
}

function shortened(text) {
  return text.length > REPORT_LENGTH ? `${text.slice(0, REPORT_LENGTH)}…` : text;
}

function settings(path, device) {
  const name = h("input", { name: "name", required: true, maxlength: 64, value: device.name, autocomplete: "off" });
  const rename = async (event) => {
    event.preventDefault();
    try {
      await putJson(`${path}/name`, { name: name.value });
      announce(t("renamed"));
    } catch (error) {
      announce(errorText(error));
    }
  };
  const unbind = async () => {
    if (!await confirm({ title: t("unbindTitle"), text: t("unbindText"), yes: t("unbind"), no: t("cancel") })) return;
    try {
      await post(`${path}/unbind`);
      announce(t("unboundDone"));
    } catch (error) {
      announce(errorText(error));
    }
  };
  return h("section", { class: "card stack", data: { part: "settings" } },
    h("h2", {}, t("device")),
    h("form", { class: "stack tight", on: { submit: rename } },
      field(t("name"), (attributes) => set(name, attributes)),
      h("div", { class: "row between" },
        h("button", { type: "submit" }, t("rename")),
        h("button", { type: "button", class: "danger", data: { role: "unbind" }, on: { click: unbind } }, t("unbind")))));
}
