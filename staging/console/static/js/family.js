// What a family sets once: the limits of the volume, the night, the rules of playing and of listening, and the child lock.

import { field, h, icon, put, set, uid } from "./dom.js";
import { readLimits, readNight, readRules, writeLimits, writeNight, writeRules } from "./grammar.js";
import { t } from "./i18n.js";
import { orText, toggle } from "./inputs.js";
import "./words/family.js";

const LOUDEST = 16;
const PERIODS_MAX = 4;
const BONUS_MAX = 600;
// Minutes that one press of the button gives.
const BONUS = 15;
// What the form offers first, when nothing is set yet.
const NIGHT = { from: "21:00", to: "06:30", max: 5 };
const QUIET = ["20:30", "06:30"];

/** A form of fields: it sends what `write` returns, and shows the device's value unless the user is changing it. */
function settings({ put: send }, { fields, fill, write, enabled, more = null }) {
  let changed = false;
  let isOnline = false;
  const submit = (event) => {
    event.preventDefault();
    changed = false;
    send(write());
  };
  const touched = () => { changed = true; draw(); };
  // A field that is emptied by a program, such as a password manager's or a test's, only says "change".
  const body = h("form", { class: "stack tight", on: { submit, input: touched, change: touched } }, fields,
    h("div", { class: "row" }, h("button", { type: "submit" }, t("save")), more));
  const draw = () => enabled?.(isOnline);
  return {
    output: null,
    body,
    touched,
    reset: () => { changed = false; },
    enabled(online) {
      isOnline = online;
      draw();
    },
    show(value, ordered) {
      if (changed || ordered) return;
      fill(value);
      draw();
    },
  };
}

const number = (min, max, more = {}) => h("input", { type: "number", min, max, step: 1, inputmode: "numeric", autocomplete: "off", ...more });
const time = (value, more = {}) => h("input", { type: "time", value, required: true, ...more });
const labelled = (key, input, hint) => field(t(key), (attributes) => set(input, attributes), hint);
const numberOrNull = (input) => (input.value === "" ? null : Number(input.value));

function limits(context) {
  const max = number(1, LOUDEST, { name: "max", required: true });
  const min = number(0, LOUDEST, { name: "min", required: true });
  const start = number(0, LOUDEST, { name: "start", placeholder: t("limits.last") });
  return settings(context, {
    fields: h("div", { class: "fields" }, labelled("limits.max", max), labelled("limits.min", min), labelled("limits.start", start)),
    fill(value) {
      [max.value, min.value, start.value] = [value.max, value.min, value.start ?? ""];
    },
    write: () => writeLimits({ max: Number(max.value), min: Number(min.value), start: numberOrNull(start) }),
  });
}

function night(context) {
  const on = h("input", { type: "checkbox", role: "switch", name: "on" });
  const from = time(NIGHT.from, { name: "from" });
  const to = time(NIGHT.to, { name: "to" });
  const max = number(0, LOUDEST, { name: "max", required: true, value: NIGHT.max });
  const fields = h("div", { class: "fields times" }, labelled("from", from), labelled("to", to), labelled("night.max", max));
  return settings(context, {
    fields: [h("label", { class: "check" }, on, t("night.on")), fields],
    fill(value) {
      on.checked = value.on;
      if (value.on) [from.value, to.value, max.value] = [value.from, value.to, value.max];
    },
    write: () => writeNight({ on: on.checked, from: from.value, to: to.value, max: max.value }),
    enabled() {
      fields.hidden = !on.checked;
      for (const input of [from, to, max]) input.disabled = on.disabled || !on.checked;
    },
  });
}

/** Two times and a button that takes them away. */
function periodRow([from, to], removed) {
  const begin = time(from, { "aria-label": t("from") });
  const end = time(to, { "aria-label": t("to") });
  const row = h("div", { class: "row period" }, begin, h("span", { "aria-hidden": "true" }, "–"), end,
    h("button", { type: "button", class: "quiet icon", "aria-label": t("rules.removeQuiet"), title: t("rules.removeQuiet"), on: { click: () => removed(row) } }, icon("remove")));
  return Object.assign(row, { read: () => [begin.value, end.value] });
}

function quietPeriods(touched) {
  const id = uid("quiet");
  const rows = h("div", { class: "stack tight" });
  const add = h("button", { type: "button", data: { role: "add-quiet" }, on: { click: () => { append(QUIET).querySelector("input").focus(); touched(); } } }, t("rules.addQuiet"));
  const element = h("div", { class: "stack tight", role: "group", "aria-labelledby": id },
    h("span", { class: "label", id }, t("rules.quiet")), rows, h("div", {}, add));
  const append = (period) => {
    const row = periodRow(period, (gone) => { gone.remove(); add.hidden = false; add.focus(); touched(); });
    rows.append(row);
    add.hidden = rows.children.length >= PERIODS_MAX;
    return row;
  };
  return {
    element,
    read: () => [...rows.children].map((row) => row.read()),
    fill(periods) {
      put(rows);
      add.hidden = false;
      periods.forEach(append);
    },
    disable(disabled) {
      for (const part of element.querySelectorAll("input, button")) part.disabled = disabled;
    },
  };
}

function rules(context) {
  const quiet = quietPeriods(() => form.touched());
  const daily = number(0, 1440, { name: "daily", placeholder: t("rules.unlimited") });
  const bonus = number(0, BONUS_MAX, { name: "bonus", placeholder: "0" });
  const then = h("select", { name: "then" }, ["fade", "finish"].map((value) => h("option", { value }, t(`rules.${value}`))));
  const tonight = h("select", { name: "tonight" }, ["", "free", "last", "hours"].map((value) => h("option", { value }, t(`tonight.${value || "usual"}`))));
  const from = time(QUIET[0], { "aria-label": t("from") });
  const to = time(QUIET[1], { "aria-label": t("to") });
  const hours = h("div", { class: "row period" }, from, h("span", { "aria-hidden": "true" }, "–"), to);
  // A value of nothing but a bonus keeps the other rules (wire.rules), so it needs no save.
  const give = h("button", { type: "button", data: { role: "bonus" }, on: { click: () => context.put(`bonus ${Math.min(BONUS_MAX, given + BONUS)}`) } }, t("rules.give", { n: BONUS }));
  let given = 0;
  let thenSaid = false;
  const form = settings(context, {
    fields: [quiet.element,
      h("div", { class: "fields" }, labelled("rules.daily", daily), labelled("rules.bonus", bonus)),
      labelled("rules.then", then), labelled("rules.tonight", tonight), hours],
    more: give,
    fill(value) {
      quiet.fill(value.quiet);
      daily.value = value.daily ?? "";
      bonus.value = value.bonus ?? "";
      given = value.bonus ?? 0;
      give.hidden = value.daily === null;
      thenSaid = value.then !== null;
      then.value = value.then ?? "fade";
      tonight.value = Array.isArray(value.tonight) ? "hours" : value.tonight ?? "";
      if (Array.isArray(value.tonight)) [from.value, to.value] = value.tonight;
    },
    write: () => writeRules({
      quiet: quiet.read(),
      daily: numberOrNull(daily),
      bonus: numberOrNull(bonus),
      then: thenSaid || then.value !== "fade" ? then.value : null,
      tonight: tonight.value === "hours" ? [from.value, to.value] : tonight.value || null,
    }),
    enabled(online) {
      quiet.disable(!online);
      hours.hidden = tonight.value !== "hours";
      for (const input of [from, to]) input.disabled = !online || hours.hidden;
    },
  });
  return form;
}

/** The rules of the microphone: the first three clauses of those of playing. */
function listening(context) {
  const quiet = quietPeriods(() => form.touched());
  const daily = number(0, 1440, { name: "daily", placeholder: t("rules.unlimited") });
  const bonus = number(0, BONUS_MAX, { name: "bonus", placeholder: "0" });
  const form = settings(context, {
    fields: [quiet.element,
      h("div", { class: "fields" }, labelled("listening.daily", daily), labelled("rules.bonus", bonus))],
    fill(value) {
      quiet.fill(value.quiet);
      daily.value = value.daily ?? "";
      bonus.value = value.bonus ?? "";
    },
    write: () => writeRules({ quiet: quiet.read(), daily: numberOrNull(daily), bonus: numberOrNull(bonus), then: null, tonight: null }),
    enabled(online) {
      quiet.disable(!online);
    },
  });
  return form;
}

/** The shapes of these data points, with the type that they have on our machines. */
export const familyShapes = {
  volume_limits: ["string", orText(readLimits, limits)],
  night: ["string", orText(readNight, night)],
  child_lock: ["bool", toggle],
  rules: ["string", orText(readRules, rules)],
  listening: ["string", orText(readRules, listening)],
};
