// The inputs of a data point by its type, pattern and methods; play, switch and power have special ones.

import { confirm, field, h, put, set } from "./dom.js";
import { t } from "./i18n.js";
import "./words/controls.js";

export const COMMANDS = [["上一首", "previous"], ["暂停", "pause"], ["继续", "resume"], ["停止", "stop"], ["下一首", "next"]];
const LOW_BATTERY = 20;
// For this long after the user moved a slider, answers to earlier positions must not move it back.
export const SETTLE_MS = 800;
// wire.story_points.PLAY_LIMIT: a URL may be this long.
const PLAY_LIMIT = 4096;

/** Return what makes the input of a data point, for `makeControl`. */
export function shapeOf(point) {
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
    unknown() {
      clearTimeout(settling);
      settling = 0;
      input.value = min;
      output.textContent = "–";
    },
  };
}

function playBox(context) {
  const output = h("span", { class: "small soft", data: { role: "now" } });
  const commands = COMMANDS.map(([command, word]) => h("button", { type: "button", data: { command }, on: { click: () => context.put(command) } }, t(word)));
  return {
    output,
    body: h("div", { class: "stack tight" }, playForm(context),
      h("div", { class: "transport", role: "group", "aria-label": t("transport") }, commands)),
    show(value, ordered) {
      if (!ordered) put(output, `${t("playing")}: `, h("strong", {}, value || t("nothing")));
    },
  };
}

/** A form that asks what to play. */
export function playForm({ put: send }) {
  const input = h("input", { name: "play", maxlength: PLAY_LIMIT, autocomplete: "off" });
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) send(input.value.trim());
  };
  return h("form", { on: { submit } },
    field(t("playWhat"), (attributes) => {
      set(input, attributes);
      return h("div", { class: "row" }, h("div", { class: "grow" }, input), h("button", { type: "submit", class: "primary" }, t("play")));
    }, t("playHint")));
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
  // Without a value there is no bar: an empty one and a full one would both say something.
  const box = h("div", { class: "gauge", role: "meter", hidden: true, "aria-label": label, "aria-valuemin": min, "aria-valuemax": max, "aria-valuenow": min }, fill);
  const output = h("output", {}, "–");
  return {
    output,
    body: box,
    show(value) {
      const level = value === "" ? NaN : Number(value);
      box.hidden = !Number.isFinite(level);
      if (box.hidden) {
        output.textContent = t("unknown");
        return;
      }
      const part = Math.min(1, Math.max(0, (level - min) / (max - min || 1)));
      output.textContent = min === 0 && max === 100 ? `${level}%` : String(level);
      box.setAttribute("aria-valuenow", level);
      fill.style.width = `${part * 100}%`;
      box.classList.toggle("low", part * 100 <= LOW_BATTERY);
    },
  };
}

/** A switch. */
export function toggle({ label, put: send }) {
  const input = h("input", { type: "checkbox", role: "switch" });
  input.addEventListener("change", () => send(String(input.checked)));
  const output = h("output", { class: "small" }, "–");
  return {
    latest: true,
    output,
    unknown() {
      input.checked = false;
      output.textContent = "–";
    },
    body: h("label", { class: "check" }, input, label),
    show(value) {
      input.checked = value === "true" || value === "1";
      output.textContent = t(input.checked ? "on" : "off");
    },
  };
}

/** The value alone. */
export function readOnly({ point }) {
  const output = h("output", { class: point.type === "bool" ? "small" : null }, "–");
  const isSwitch = (value) => point.type === "bool" && (value === "true" || value === "false");
  return { output, body: null, show: (value) => { output.textContent = isSwitch(value) ? t(value === "true" ? "on" : "off") : value; } };
}

/** Any text. */
export function textBox({ point, put: send }) {
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

/**
 * Wrap the shape of a data point whose text has a grammar: it shows what `readValue` makes of a value, and
 * a value that this cannot read (null) gets the text input.
 */
export function orText(readValue, shape) {
  return (context) => {
    const special = shape(context);
    const plain = context.point.method.includes("PUT") ? textBox(context) : readOnly(context);
    const other = h("div", { class: "stack tight", hidden: true }, plain.output, plain.body);
    let fits = true;
    return {
      ...special,
      body: h("div", {}, special.body, other),
      fits: () => fits,
      show(value, ordered) {
        const read = readValue(value);
        // What was ordered may be written in other words than what the device answers.
        if (read === null && ordered) return;
        fits = read !== null;
        special.body.hidden = !fits;
        if (special.output) special.output.hidden = !fits;
        other.hidden = fits;
        if (fits) special.show(read, ordered);
        else {
          special.hide?.();
          plain.show(value, ordered);
        }
      },
    };
  };
}
