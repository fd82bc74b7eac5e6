// The controls of a device, made from its self-description: type, pattern and methods.
// play, switch and power have special controls; every other data point has one by its type.

import { post } from "./api.js";
import { confirm, field, h, put, uid } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { empty } from "./shell.js";

const COMMANDS = [["上一首", "previous"], ["暂停", "pause"], ["继续", "resume"], ["停止", "stop"], ["下一首", "next"]];
const LOW_BATTERY = 20;
// For this long after the user moved a slider, answers to earlier positions must not move it back.
const SETTLE_MS = 800;
const QUEUE_LIMIT = 16;
// wire.story_points.PLAY_LIMIT: a URL may be this long.
const PLAY_LIMIT = 4096;

/** The card of all controls; call `update` when the device's state changed, `reported` for a reported value. */
export function controls(path, signal) {
  const list = h("div", { class: "controls" });
  const hint = h("p", { class: "note", hidden: true }, t("offlineControls"));
  const again = h("button", { type: "button", class: "quiet", on: { click: () => read() } }, t("readAll"));
  const element = h("section", { class: "card", data: { part: "controls" } },
    h("div", { class: "card-head" }, h("h2", {}, t("controls")), again), h("div", { class: "stack" }, hint, list));
  let made = [];
  let described = "";
  let wasOnline = false;

  function read() {
    for (const control of made) control.read();
  }

  return {
    element,
    update(points, online) {
      const description = JSON.stringify(points);
      if (description !== described) {
        described = description;
        made = points.map((point) => makeControl(path, point, signal));
        put(list, points.length ? made.map((control) => control.element) : empty(t("noPoints"), t("noPointsHint")));
        wasOnline = false;
      }
      hint.hidden = online;
      again.disabled = !online;
      for (const control of made) control.enable(online);
      if (online && !wasOnline) read();
      wasOnline = online;
    },
    reported(key, value) {
      for (const control of made) if (control.name === key) control.show(String(value));
    },
  };
}

function makeControl(path, point, signal) {
  const shape = shapeOf(point);
  const answer = h("p", { class: "answer soft", role: "status" });
  const label = point.label || point.name;
  const id = uid("point");
  const parts = shape({ point, label, id, put: (content) => order("PUT", content) });
  const element = h("div", { class: "control", role: "group", "aria-labelledby": id, data: { point: point.name } },
    h("div", { class: "control-head" }, h("h3", { id }, label), parts.output),
    point.description ? h("p", { class: "small soft" }, point.description) : null,
    parts.body, answer);

  // Requests are sent one after the other, because the network may reorder them. A value that the device
  // reports is newer than an answer that has not arrived yet.
  const queue = [];
  let working = false;
  let reports = 0;

  async function order(method, content) {
    const last = queue.at(-1);
    // Of the positions that a slider passed, only the newest is sent.
    if (parts.latest && last?.[0] === "PUT" && method === "PUT") last[1] = content;
    else if (queue.length < QUEUE_LIMIT) queue.push([method, content]);
    if (working) return;
    working = true;
    while (queue.length && !signal.aborted) await exchange(...queue.shift());
    working = false;
  }

  async function exchange(method, content) {
    const before = reports;
    showAnswer(t(method === "PUT" ? "sending" : "reading"), false);
    try {
      const body = { method, name: point.name, ...(method === "PUT" ? { content } : {}) };
      const reply = await post(`${path}/control`, body);
      if (signal.aborted) return;
      if (!reply.code.startsWith("2.")) showAnswer(t("deviceSaid", { code: reply.code, text: reply.content }), true);
      else {
        showAnswer(t("took", { code: reply.code, ms: reply.ms }), false);
        if (reports === before) parts.show(method === "PUT" ? content : reply.content, method === "PUT");
        if (method === "GET") return;
      }
      // Show the device's value, whether it accepted the new one or not.
      if (point.method.includes("GET") && queue.length === 0) await refresh();
    } catch (error) {
      if (!signal.aborted) showAnswer(errorText(error), true);
    }
  }

  async function refresh() {
    const before = reports;
    const reply = await post(`${path}/control`, { method: "GET", name: point.name });
    if (reply.code.startsWith("2.") && reports === before) parts.show(reply.content, false);
  }

  function showAnswer(text, bad) {
    answer.textContent = text;
    answer.className = `answer ${bad ? "bad" : "soft"}`;
  }

  return {
    name: point.name,
    element,
    show(value) {
      reports += 1;
      parts.show(value, false);
    },
    read: () => { if (point.method.includes("GET")) order("GET"); },
    enable(online) {
      for (const part of element.querySelectorAll("button, input, select")) part.disabled = !online;
    },
  };
}

function shapeOf(point) {
  const settable = point.method.includes("PUT");
  if (point.name === "play" && settable) return playBox;
  if (point.name === "switch" && point.type === "bool" && settable) return powerOff;
  if (point.name === "power" && ranged(point)) return gauge;
  if (!settable) return readOnly;
  if (point.type === "bool") return toggle;
  if (point.type === "int" && ranged(point)) return slider;
  return textBox;
}

const ranged = (point) => Number.isInteger(point.pattern?.min) && Number.isInteger(point.pattern?.max);

function slider({ point, label, put: send }) {
  const { min, max, step = 1 } = point.pattern;
  const output = h("output", {}, "–");
  const input = h("input", { type: "range", min, max, step, value: min, "aria-label": label });
  let settling = 0;
  let pending = null;
  const apply = (value) => {
    input.value = value;
    output.textContent = value;
  };
  input.addEventListener("input", () => {
    output.textContent = input.value;
    clearTimeout(settling);
    pending = null;
    settling = setTimeout(() => {
      settling = 0;
      if (pending !== null) apply(pending);
    }, SETTLE_MS);
  });
  input.addEventListener("change", () => send(input.value));
  return {
    latest: true,
    output,
    body: h("div", {}, input, h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, min), h("span", {}, max))),
    show(value) {
      if (settling) pending = value;
      else apply(value);
    },
  };
}

function playBox({ put: send }) {
  const output = h("span", { class: "small soft", data: { role: "now" } });
  const input = h("input", { name: "play", maxlength: PLAY_LIMIT, autocomplete: "off" });
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) send(input.value.trim());
  };
  const body = h("form", { class: "stack tight", on: { submit } },
    field(t("playWhat"), (attributes) => {
      input.id = attributes.id;
      input.setAttribute("aria-describedby", attributes["aria-describedby"]);
      return h("div", { class: "row" }, h("div", { class: "grow" }, input), h("button", { type: "submit", class: "primary" }, t("play")));
    }, t("playHint")),
    h("div", { class: "transport", role: "group", "aria-label": t("transport") },
      COMMANDS.map(([command, word]) => h("button", { type: "button", data: { command }, on: { click: () => send(command) } }, t(word)))));
  return {
    output,
    body,
    show(value, ordered) {
      if (!ordered) put(output, `${t("playing")}: `, h("strong", {}, value || t("nothing")));
    },
  };
}

function powerOff({ put: send }) {
  const ask = async () => {
    if (await confirm({ title: t("powerOffTitle"), text: t("powerOffText"), yes: t("powerOff"), no: t("cancel") })) send("true");
  };
  return {
    output: null,
    body: h("div", {}, h("button", { type: "button", class: "danger", data: { role: "power-off" }, on: { click: ask } }, t("powerOff"))),
    show() {},
  };
}

function gauge({ point, label }) {
  const { min, max } = point.pattern;
  const fill = h("i", {});
  const box = h("div", { class: "gauge", role: "meter", "aria-label": label, "aria-valuemin": min, "aria-valuemax": max, "aria-valuenow": min }, fill);
  const output = h("output", {}, "–");
  return {
    output,
    body: box,
    show(value) {
      const level = Number(value);
      if (!Number.isFinite(level)) return;
      const part = Math.min(1, Math.max(0, (level - min) / (max - min || 1)));
      output.textContent = min === 0 && max === 100 ? `${level}%` : String(level);
      box.setAttribute("aria-valuenow", level);
      fill.style.width = `${part * 100}%`;
      box.classList.toggle("low", part * 100 <= LOW_BATTERY);
    },
  };
}

function toggle({ label, put: send }) {
  const input = h("input", { type: "checkbox", role: "switch" });
  input.addEventListener("change", () => send(String(input.checked)));
  const output = h("output", { class: "small" }, "–");
  return {
    output,
    body: h("label", { class: "check" }, input, label),
    show(value) {
      input.checked = value === "true" || value === "1";
      output.textContent = t(input.checked ? "on" : "off");
    },
  };
}

function readOnly() {
  const output = h("output", {}, "–");
  return { output, body: null, show: (value) => { output.textContent = value; } };
}

function textBox({ point, put: send }) {
  const output = h("output", { class: "small" }, "–");
  const input = h("input", { autocomplete: "off", maxlength: 1024, inputmode: point.type === "int" ? "numeric" : null });
  const submit = (event) => {
    event.preventDefault();
    send(input.value);
  };
  return {
    output,
    body: h("form", { on: { submit } }, field(t("value"), ({ id }) => {
      input.id = id;
      return h("div", { class: "row" }, h("div", { class: "grow" }, input), h("button", { type: "submit" }, t("set")));
    })),
    show: (value) => { output.textContent = value; },
  };
}
