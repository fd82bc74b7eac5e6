// Who is told of alarms by HTTPS, what came of the last messages, and when alarms begin.

import { get, post } from "./api.js";
import { copyable } from "./copyable.js";
import { announce, confirm, field, h, put, set } from "./dom.js";
import { ago, dateTime } from "./format.js";
import { errorText, refusalText, t } from "./i18n.js";
import { empty, form, pageHead, title } from "./shell.js";
import "./words/webhooks.js";

// The server sends what waits every five seconds.
const REFRESH_MS = 3000;
const SETTINGS = ["offline_minutes", "battery_percent", "failing_percent", "failing_updates", "clone"];

export async function show(main, { signal }) {
  const list = h("div", { class: "stack wide", data: { part: "webhooks" } });
  const sum = h("p", { role: "status", data: { role: "sum" } });
  // Secrets of webhooks that were made here; kept while the page is open, and shown nowhere else.
  const secrets = new Map();
  // What a reader has open stays open while the page looks again.
  const opened = new Set();
  let drawn = "";
  const first = await get("/webhooks");
  if (signal.aborted) return;
  title(t("webhooks"));
  put(main, h("a", { class: "crumb", href: "/console/dashboard" }, t("backToOverview")),
    pageHead(t("webhooks"), t("webhooksLead")),
    h("div", { class: "grid" },
      h("div", { class: "c8 stack wide" }, sum, list, begins(first, load)),
      h("div", { class: "c4 stack wide" }, newHook())));
  draw(first);
  const again = setInterval(() => { if (!document.hidden) load().catch(() => { /* the next one may succeed */ }); }, REFRESH_MS);
  signal.addEventListener("abort", () => clearInterval(again));

  async function load() {
    const found = await get("/webhooks");
    if (!signal.aborted) draw(found);
  }

  function draw({ webhooks }) {
    const now = JSON.stringify(webhooks);
    if (now === drawn) return;
    drawn = now;
    const failing = webhooks.filter((hook) => hook.on && hook.last?.problem).length;
    const on = webhooks.filter((hook) => hook.on).length;
    sum.textContent = webhooks.length ? t(failing ? "hook.someFail" : "hook.allWell", { failing, on, n: webhooks.length }) : "";
    sum.className = failing ? "note bad" : "note";
    sum.hidden = webhooks.length === 0;
    const at = document.activeElement;
    const focused = list.contains(at) ? [at.closest("[data-webhook]")?.dataset.webhook, at.dataset.role] : null;
    put(list, webhooks.length ? webhooks.map(card) : h("div", { class: "card" }, empty(t("hook.none"), t("hook.noneHint"))));
    if (focused?.[1]) list.querySelector(`[data-webhook="${focused[0]}"] [data-role="${focused[1]}"]`)?.focus();
  }

  function card(hook) {
    const { id, on, last } = hook;
    const problem = h("p", { class: "bad", role: "alert" });
    const act = async (where, told) => {
      problem.textContent = "";
      try {
        await post(`/webhooks/${id}/${where}`);
        announce(told);
        await load();
      } catch (error) {
        problem.textContent = errorText(error);
      }
    };
    const remove = async () => {
      if (await confirm({ title: t("hook.removeTitle"), text: t("hook.removeText", hook), yes: t("remove"), no: t("cancel") })) act("remove", t("hook.removed"));
    };
    const button = (role, text, work, kind = null) => h("button", { type: "button", class: kind, "aria-label": `${text}: ${hook.url}`, data: { role }, on: { click: work } }, text);
    return h("section", { class: "card stack", data: { webhook: id } },
      h("div", { class: "card-head" }, h("h2", { class: "mono" }, hook.url), health(hook)),
      secrets.has(id) ? h("div", { class: "stack tight" }, copyable("secret", secrets.get(id)), h("p", { class: "note" }, t("hook.shownOnce"))) : null,
      h("p", { data: { role: "last" } }, last === null ? t("hook.nothingSent") : lastLine(last)),
      hook.waiting ? h("p", { class: "small soft" }, t("hook.waiting", { n: hook.waiting })) : null,
      hook.messages.length ? messages(hook) : null,
      problem,
      h("div", { class: "row" },
        on ? button("test", t("hook.test"), () => act("test", t("hook.testOrdered"))) : null,
        on ? button("off", t("hook.off"), () => act("off", t("hook.isOff"))) : button("on", t("hook.on"), () => act("on", t("hook.isOn"))),
        button("remove", t("remove"), remove, "danger")));
  }

  function messages(hook) {
    const details = h("details", { open: opened.has(hook.id) }, h("summary", {}, t("hook.messages", { n: hook.messages.length })),
      h("ul", { class: "stack tight" }, hook.messages.map((message) => h("li", { data: { message: message.id } },
        h("span", { class: `chip ${CHIPS[message.state]}` }, t(`hook.state.${message.state}`)), " ", lastLine(message)))));
    details.addEventListener("toggle", () => { if (details.open) opened.add(hook.id); else opened.delete(hook.id); });
    return details;
  }

  function newHook() {
    const url = h("input", { name: "url", type: "url", required: true, maxlength: 1000, autocomplete: "off", spellcheck: "false", placeholder: t("hook.example") });
    const made = form(t("hook.new"), [
      h("p", { class: "small soft" }, t("hook.newLead")),
      field(t("hook.url"), (attributes) => set(url, attributes), t("hook.urlHint")),
    ], t("add"), async () => {
      const answer = await post("/webhooks", { url: url.value.trim() });
      secrets.set(answer.id, answer.secret);
      made.reset();
      announce(t("hook.added"));
      await load();
    });
    return made;
  }
}

const CHIPS = { DONE: "good", WAITING: "warn", GIVEN_UP: "bad" };

/** In one chip: whether what was sent last arrived. */
function health({ on, last, waiting }) {
  if (!on) return h("span", { class: "chip" }, t("hook.state.off"));
  if (last?.problem) return h("span", { class: "chip bad" }, t("hook.state.fails"));
  if (waiting) return h("span", { class: "chip warn" }, t("hook.state.WAITING"));
  return h("span", { class: `chip ${last ? "good" : ""}` }, t(last ? "hook.state.well" : "hook.state.new"));
}

/** What a message was about, when it was tried, and why it did not arrive. */
function lastLine({ event, kind, subject, state, tries, problem, tried, created, nextTry }) {
  const about = kind ? `${t(`alarm.${kind}`)} ${subject}: ${t(`hook.event.${event}`)}` : t(`hook.event.${event}`);
  const at = Date.parse(tried ?? created);
  return [about, h("span", { class: "small soft" }, " · ", h("time", { datetime: tried ?? created, title: dateTime(at) }, ago(at)), tries > 1 ? [" · ", t("hook.tries", { n: tries })] : ""),
    problem ? h("span", { class: "bad", data: { role: "problem" } }, " · ", refusalText(problem)) : null,
    problem && state === "WAITING" && nextTry ? h("span", { class: "small soft" }, " · ", t("hook.nextTry", { time: dateTime(Date.parse(nextTry)) })) : null];
}

/** When alarms begin: a field for each number. */
function begins({ settings, limits }, load) {
  const inputs = new Map(SETTINGS.map((name) => [name, h("input", { name, type: "number", required: true, min: limits[name][0], max: limits[name][1], value: settings[name] })]));
  return h("div", { data: { part: "settings" } }, form(t("hook.settings"), [
    h("p", { class: "small soft" }, t("hook.settingsLead")),
    h("div", { class: "fields filters" }, [...inputs].map(([name, input]) => field(t(`setting.${name}`), (attributes) => set(input, attributes)))),
    h("p", { class: "small soft" }, t(settings.allow_private ? "hook.private" : "hook.public")),
  ], t("save"), async () => {
    await post("/alarms/settings", Object.fromEntries([...inputs].map(([name, input]) => [name, Number(input.value)])));
    announce(t("hook.settingsSaved"));
    await load();
  }));
}
