// One strategy: its phases, what the next one waits for, what became of its devices, and what is done to it.

import { get, post, putJson } from "./api.js";
import { announce, confirm, field, h, put, set } from "./dom.js";
import { dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { form, pageHead, title } from "./shell.js";
import "./words/rollout.js";
import "./words/strategies.js";
import "./words/update.js";

const RELOAD_MS = 10000;
export const TONES = { PUBLISHED: "good", DRAFT: "warn", PAUSED: "warn", HALTED: "bad" };
const COLUMNS = ["covered", "waiting", "running", "success", "failed", "refused", "cancelled"];
// Percent and hours as they are asked for; the time of a phase is shown in minutes.
const SETTINGS = ["soak", "sample", "success", "link", "hours", "sound", "open", "perMinute", "failing", "chance", "error"];

export async function show(main, { signal, match }) {
  const id = Number(match[1]);
  const path = `/strategies/${id}`;
  let found = await get(path);
  if (signal.aborted) return;
  const head = h("div", {});
  const body = h("div", { class: "stack" });
  const plan = h("div", {});
  put(main, h("a", { class: "crumb", href: "/console/strategies" }, t("backToStrategies")), head, h("div", { class: "grid" }, h("div", { class: "c8" }, body), h("div", { class: "c4" }, plan)));
  let timer = 0;
  let drawn = "";
  draw();
  put(plan, planForm(found, save));
  again();
  signal.addEventListener("abort", () => clearTimeout(timer));

  function again() {
    timer = setTimeout(async () => {
      if (!document.hidden) await load({ quiet: true });
      if (!signal.aborted) again();
    }, RELOAD_MS);
  }

  async function load({ quiet = false } = {}) {
    try {
      found = await get(path);
      if (!signal.aborted) draw();
    } catch (error) {
      if (!quiet) announce(errorText(error));
    }
  }

  function draw() {
    const now = JSON.stringify(found);
    if (now === drawn) return;
    // A log that is being read stays open.
    const open = new Set([...body.querySelectorAll("details[open]")].map(({ dataset }) => dataset.uuid));
    const focused = document.activeElement?.dataset?.act;
    drawn = now;
    title(t("strategyTitle", { version: found.version }));
    put(head, pageHead(t("strategyTitle", { version: found.version }), `${found.product} · ${t(`type.${found.type}`)}`,
      h("span", { class: `chip ${TONES[found.status] ?? ""}`, data: { state: found.status } }, t(`strategy.${found.status}`))));
    put(body, actions(), halted(found), phases(found), progress(found), health(found), failing(found, open));
    if (focused) body.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  function actions() {
    const { status, type, total, phases: planned, open } = found;
    const is = (...states) => states.includes(status);
    return h("div", { class: "row", data: { part: "actions" } },
      is("DRAFT", "WITHDRAWN") ? button("publish", "primary", publish) : null,
      is("PUBLISHED") ? button("pause", "", () => act("pause", "pausedNow")) : null,
      is("PAUSED", "HALTED") ? button("goOn", "primary", resume) : null,
      is("PUBLISHED") && open < planned.length ? button("openNext", "", openNext) : null,
      is("PUBLISHED", "PAUSED", "HALTED") && type === "SILENT" && total.failed ? button("retryFailed", "", retry) : null,
      is("PUBLISHED", "PAUSED", "HALTED") ? button("withdraw", "danger", withdraw) : null);
  }

  function button(name, tone, work) {
    return h("button", { type: "button", class: tone || null, data: { act: name }, on: { click: work } }, t(name));
  }

  async function publish() {
    if (await askPublish(found)) await act("publish", "published");
  }

  async function resume() {
    const words = { title: t("resumeTitle"), text: t(found.status === "HALTED" ? "resumeHaltedText" : "resumeText"), yes: t("goOn"), no: t("cancel") };
    if (await confirm(words)) await act("resume", "resumedNow");
  }

  async function openNext() {
    const next = found.phases[found.open].phase;
    if (await confirm({ title: t("openNextTitle", { phase: phaseText(next) }), text: t("openNextText"), yes: t("openNext"), no: t("cancel") })) await act("open", "openedNow");
  }

  async function retry() {
    if (await confirm({ title: t("retryTitle", { count: found.total.failed }), text: t("retryText"), yes: t("retryFailed"), no: t("cancel") })) await act("retry", "retriedNow");
  }

  async function withdraw() {
    const running = await askWithdraw(path);
    if (running) await act("withdraw", "withdrawn", { running });
  }

  async function act(name, words, wanted = {}) {
    try {
      const done = await post(`${path}/${name}`, wanted);
      announce(t(words, done));
    } catch (error) {
      announce(errorText(error));
    }
    await load();
  }

  async function save(phasesText, values) {
    await putJson(`${path}/phases`, { phases: splitPhases(phasesText), settings: values });
    announce(t("phasesSaved"));
    await load();
    put(plan, planForm(found, save));
  }
}

/** Ask before a strategy takes effect: whom it reaches, and whom it leaves out and why. */
export async function askPublish(strategy) {
  const id = strategy.strategyId ?? strategy.id;
  let found;
  try {
    found = await get(`/strategies/${id}/preview`);
  } catch (error) {
    announce(errorText(error));
    return false;
  }
  const lines = [
    t("previewCovered", { covered: found.covered, heard: found.heard }),
    found.phases.length ? t("previewFirst", { first: found.first, phase: phaseText(found.phases[0]) }) : null,
    found.busy ? t("previewBusy", { busy: found.busy }) : null,
    ...["version", "from", "batch"].filter((why) => found.excluded[why]).map((why) => t(`previewExcluded.${why}`, { count: found.excluded[why] })),
    t(strategy.type === "SILENT" ? "publishSilentText" : "publishPassiveText"),
  ];
  return confirm({
    title: t(strategy.type === "SILENT" ? "publishSilentTitle" : "publishPassiveTitle"),
    text: lines.filter(Boolean).map((line) => h("span", { class: "line", data: { part: "preview" } }, line)),
    yes: t("publish"), no: t("cancel"),
  });
}

/** Ask before a strategy ends; returns what becomes of the devices that are busy with it, or null. */
export async function askWithdraw(path) {
  let found;
  try {
    found = await get(`${path}/preview`);
  } catch (error) {
    announce(errorText(error));
    return null;
  }
  const choice = (value, checked) => h("label", { class: "check" },
    h("input", { type: "radio", name: "running", value, checked }), t(`withdraw.${value}`, { count: found.running }));
  const finish = choice("finish", true);
  const cancel = choice("cancel", false);
  const text = [h("span", { class: "line" }, t(found.running ? "withdrawRunning" : "withdrawNone", { count: found.running })), found.running ? [finish, cancel] : null];
  if (!await confirm({ title: t("withdrawTitle"), text, yes: t("withdraw"), no: t("cancel") })) return null;
  return cancel.querySelector("input").checked ? "cancel" : "finish";
}

/** Return the phases of a text: "1 %, 10 %, batch:2026-11". */
export function splitPhases(text) {
  return text.split(/[;；\n]|[,，、](?=\s*(?:[0-9]|batch:|tag:))/).map((each) => each.trim()).filter(Boolean);
}

export function phaseText(phase) {
  const [kind, names] = phase.split(/:(.*)/s);
  return names ? t(`phase.${kind}`, { names }) : phase;
}

function phases(found) {
  if (!found.phases.length) return h("p", { class: "soft", data: { part: "phases" } }, t("noPhases"));
  const steps = found.phases.map(({ phase, open }, index) => h("li", {
    class: open && index < found.open - 1 ? "past" : null, "aria-current": index === found.open - 1 ? "step" : null,
  }, phaseText(phase)));
  return h("section", { class: "card stack", data: { part: "phases" } }, h("h2", {}, t("phases")), h("ol", { class: "steps" }, steps),
    found.phaseTime ? h("p", { class: "small soft" }, t("phaseSince", { time: dateTime(found.phaseTime) })) : null,
    found.waits.length ? h("div", { class: "stack tight" }, h("p", {}, t("nextWaits")),
      h("ul", { data: { part: "waits" } }, found.waits.map((wait) => h("li", { data: { want: wait.want } }, waitText(wait))))) : null);
}

function waitText({ want, got, wanted }) {
  const share = (value) => `${Math.round(value * 1000) / 10}%`;
  const shown = { success: share, link: share, soak: (value) => t("minutesLong", { count: Math.floor(value / 60) }), hours: (value) => String(Math.round(value * 10) / 10) }[want] ?? String;
  return t(`wait.${want}`, { got: shown(got), wanted: shown(wanted) });
}

function halted(found) {
  const { reason } = found;
  if (!reason.why) return null;
  return h("p", { class: "note bad", role: "alert", data: { part: "halted" } }, t(`halted.${reason.why}`, { ...reason, good: reason.well + reason.recovered, time: dateTime(reason.time) }));
}

function progress(found) {
  const line = (name, row) => h("tr", {}, h("td", {}, h("strong", {}, name)),
    COLUMNS.map((column) => h("td", { class: "num", data: { label: t(`count.${column}`), count: column } }, String(row[column]))));
  return h("section", { class: "card stack", data: { part: "progress" } }, h("h2", {}, t("byVersion")),
    h("table", { class: "list" }, h("caption", { class: "sr" }, t("byVersion")),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("fromVersion")), COLUMNS.map((column) => h("th", { scope: "col", class: "num" }, t(`count.${column}`))))),
      h("tbody", {}, found.versions.map((row) => line(row.version || t("unknownVersion"), row)), line(t("together"), found.total))),
    found.total.held ? h("p", { class: "small soft" }, t("heldBack", { count: found.total.held })) : null);
}

function health(found) {
  const { health: of } = found;
  const fact = (name, text) => [h("dt", {}, t(name)), h("dd", { data: { fact: name } }, text)];
  return h("section", { class: "card stack", data: { part: "health" } }, h("h2", {}, t("healthTitle")), h("dl", { class: "facts" },
    fact("healthUpdated", t("healthUpdatedText", { updated: of.updated, recovered: of.recovered })),
    fact("healthFailed", t("healthFailedText", { bad: of.bad, suspect: of.suspect })),
    fact("healthLinked", t("ofCount", { part: of.linked, count: of.updated })),
    fact("healthHours", t("healthHoursText", { hours: of.hours, crashing: of.crashing })),
    fact("healthSound", of.played ? t("ofCount", { part: of.heard, count: of.played }) : t("healthNoSound"))));
}

function failing(found, open) {
  if (!found.failing.length) return null;
  const left = found.failingTotal - found.failing.length;
  return h("section", { class: "card stack", data: { part: "failing" } }, h("h2", {}, t("failingTitle", { count: found.failingTotal })),
    h("ul", { class: "stack tight" }, found.failing.map((each) => h("li", { class: "stack tight", data: { device: each.uuid } },
      h("div", { class: "row" }, h("a", { class: "mono", href: `/console/devices/${each.uuid}` }, each.uuid),
        h("span", { class: "small soft" }, `${each.from || t("unknownVersion")} · ${dateTime(each.time)} · ${t("ordersCount", { count: each.orders })}`)),
      h("span", { class: "bad" }, each.failure),
      logOf(each, open)))),
    left > 0 ? h("p", { class: "small soft" }, t("andMore", { count: left })) : null);
}

function logOf(each, open) {
  if (each.log === null) return h("span", { class: "small soft" }, t("logOfFamily"));
  if (!each.log.length) return h("span", { class: "small soft" }, t("noLog"));
  return h("details", { open: open.has(each.uuid), data: { uuid: each.uuid } }, h("summary", {}, t("trialLog")),
    h("ol", { class: "log lines", tabindex: "0", "aria-label": t("trialLog") }, each.log.map((text) => h("li", {}, text))));
}

/** The form for phases and what they wait for. */
export function planFields(found) {
  const text = h("textarea", { name: "phases", rows: 3, maxlength: 2000, spellcheck: "false" });
  text.value = found.phases.map((each) => each.phase ?? each).join("\n");
  const inputs = Object.fromEntries(SETTINGS.map((name) => {
    const input = h("input", { name, type: "number", min: 0, step: "any", required: true, class: "num" });
    input.value = name === "soak" ? found.settings.soak / 60 : found.settings[name];
    return [name, input];
  }));
  const element = [
    field(t("phases"), (attributes) => set(text, attributes), t("phasesHint")),
    h("details", {}, h("summary", {}, t("phaseSettings")), h("div", { class: "stack" },
      SETTINGS.map((name) => field(t(`setting.${name}`), (attributes) => set(inputs[name], attributes))))),
  ];
  const values = () => Object.fromEntries(SETTINGS.map((name) => [name, Number(inputs[name].value) * (name === "soak" ? 60 : 1)]));
  return { element, values, phases: () => text.value };
}

function planForm(found, save) {
  if (!found.phases.length && found.status !== "DRAFT") return null;
  const fields = planFields(found);
  return form(t("phasesOf"), fields.element, t("save"), () => save(fields.phases(), fields.values()));
}
