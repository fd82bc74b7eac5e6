// A device's update: the offer, the order and its cancellation, the progress bar and the event log.

import { post } from "./api.js";
import { updateState } from "./badges.js";
import { announce, confirm, h, put } from "./dom.js";
import { eventText, failureText } from "./events.js";
import { dateTime, percent } from "./format.js";
import { errorText, t } from "./i18n.js";
import { empty } from "./shell.js";
import "./words/update.js";

const STEPS = ["CREATED", "RUNNING", "INSTALLED", "SUCCESS"];

export function updateCard(path) {
  const offered = h("div", {});
  const steps = h("ol", { class: "steps" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("progress") });
  const summary = h("p", { class: "row between", role: "status" });
  const waiting = h("p", { class: "note", role: "status", hidden: true, data: { role: "waiting" } });
  const problem = h("p", { class: "note bad", role: "alert", hidden: true });
  const stop = h("button", { type: "button", class: "danger", hidden: true, data: { role: "cancel-update" }, on: { click: () => cancel() } }, t("cancelUpdate"));
  const log = h("ol", { class: "log lines", tabindex: "0", "aria-label": t("eventLog") });
  const trialLog = h("ol", { class: "log lines", tabindex: "0", "aria-label": t("trialLog") });
  const trial = h("details", { hidden: true, data: { part: "trial-log" } }, h("summary", {}, t("trialLog")), trialLog);
  const running = h("div", { class: "stack", hidden: true }, summary, bar, steps, waiting, problem, h("div", {}, stop),
    h("details", { open: true }, h("summary", {}, t("eventLog")), log), trial);
  const element = h("section", { class: "card", data: { part: "update" } }, h("h2", {}, t("update")), h("div", { class: "stack" }, offered, running));
  let known = [];
  let taskId = null;
  let shownOffer = "";

  async function order(button, offer) {
    button.disabled = true;
    try {
      await post(`${path}/update`, { packageId: offer.packageId, strategyId: offer.strategyId });
      announce(t("ordered"));
    } catch (error) {
      announce(errorText(error));
      button.disabled = false;
    }
  }

  async function cancel() {
    if (!await confirm({ title: t("cancelUpdateTitle"), text: t("cancelUpdateText"), yes: t("cancelUpdate"), no: t("keepUpdate") })) return;
    stop.disabled = true;
    try {
      const { over } = await post(`${path}/update/cancel`, {});
      announce(t(over ? "updateCancelled" : "updateCancelling"));
    } catch (error) {
      announce(errorText(error));
    } finally {
      stop.disabled = false;
    }
  }

  function showOffer(offer, task) {
    const now = JSON.stringify([offer, task?.active ?? null]);
    if (now === shownOffer) return;
    shownOffer = now;
    if (offer) {
      const button = h("button", { type: "button", class: "primary", data: { role: "order" }, on: { click: () => order(button, offer) } }, t("order", { version: offer.version }));
      put(offered, h("div", { class: "stack tight" },
        h("p", {}, t("offered", offer)),
        h("p", { class: "small soft" }, t(`type.${offer.type}`)),
        h("div", {}, button)));
    } else if (task?.active) put(offered);
    else put(offered, task ? h("p", { class: "soft" }, t("upToDate")) : empty(t("upToDate"), t("upToDateHint")));
  }

  function showTask(task, device) {
    running.hidden = task === null;
    if (task === null) return;
    if (task.id !== taskId) {
      taskId = task.id;
      known = [];
      put(log);
      put(trialLog);
    }
    put(summary, h("strong", {}, t("updateTo", { version: task.version })),
      h("span", { class: `chip ${tone(task.status)}`, data: { status: task.status } }, t(`status.${task.status}`), task.status === "RUNNING" ? ` ${percent(task.percent)}` : ""));
    bar.value = task.percent ?? 0;
    put(steps, STEPS.map((name, index) => step(name, index, task)));
    stop.hidden = !task.active;
    problem.hidden = !task.failure;
    problem.textContent = task.failure ? t("failure", { text: failureText(task.failure, task.events.at(-1)?.event) }) : "";
    const state = updateState(device);
    waiting.hidden = !["queued", "halted", "trial", "stuck"].includes(state);
    waiting.textContent = waiting.hidden ? "" : t(`waiting.${state}`, { version: task.version, time: dateTime(task.updateTime) });
    follow(task.events);
    trial.hidden = !task.trialLog.length;
    if (trialLog.childElementCount !== task.trialLog.length) put(trialLog, task.trialLog.map((text) => h("li", {}, text)));
  }

  function follow(events) {
    const now = events.map((line) => JSON.stringify(line));
    const same = known.every((line, index) => line === now[index]);
    if (!same) put(log);
    const added = events.slice(same ? known.length : 0);
    log.append(...added.map((line) => h("li", { data: { event: line.event ?? "" } },
      h("time", { datetime: new Date(line.ts).toISOString() }, dateTime(line.ts)), " ", eventText(line))));
    known = now;
    if (added.length) log.scrollTop = log.scrollHeight;
  }

  return {
    element,
    update({ offer, task, device }) {
      showOffer(offer, task);
      showTask(task, device);
    },
  };
}

function step(name, index, task) {
  const failed = task.status === "FAILED";
  const at = failed ? STEPS.length - 1 : STEPS.indexOf(task.status);
  const last = failed && index === STEPS.length - 1;
  return h("li", {
    class: last ? "bad" : index <= at && !failed ? "past" : null,
    "aria-current": index === at ? "step" : null,
  }, t(`status.${last ? "FAILED" : name}`));
}

export const tone = (status) => ({ SUCCESS: "good", FAILED: "bad", RUNNING: "accent", INSTALLED: "accent" })[status] ?? "";
