// What a device plays: its title and position, the titles around, how it goes on and when it stops.

import { field, h, icon, put, set } from "./dom.js";
import { duration } from "./format.js";
import { MODES, readPlayer, readTimer } from "./grammar.js";
import { t } from "./i18n.js";
import { COMMANDS, SETTLE_MS, orText, playForm } from "./inputs.js";
import "./words/player.js";

const TICK_MS = 500;
// A timer counts on the device; this often the page asks what remains.
const TIMER_MS = 30000;
const QUICK_MINUTES = [10, 20, 30];
const QUICK_STORIES = [1, 2];
const RESTART = "从头";
const TONES = { playing: "good", loading: "accent", paused: "accent", waiting: "warn" };

/** Return the content of the player's card: `make` makes a control with a shape, `makeAny` by itself. */
export function playerParts(points, make, makeAny) {
  const named = (name) => points.find((point) => point.name === name);
  const transport = makeTransport();
  const settable = named("play")?.method.includes("PUT");
  const play = settable
    ? make(named("play"), (context) => ({ output: null, body: h("div", { class: "stack tight" }, transport.element, playForm(context)), show() {} }), { words: "point.play", bare: true })
    : null;
  transport.send = (command) => play?.send(command);
  const titles = titleList(play ? (number) => play.send(JSON.stringify({ jump: number })) : null);
  const shape = orText(readPlayer, (context) => nowPlaying(context, { titles, changed: transport.show }));
  const player = make(named("player"), shape, { words: "point.player", bare: true });
  const settings = ["play_mode", "sleep_timer"].map(named).filter(Boolean).map((point) => makeAny(point).element);
  return [h("h2", {}, t("player")), player.element, play?.element, titles.element,
    settings.length ? h("div", { class: "controls" }, settings) : null];
}

function makeTransport() {
  const transport = { send: () => {}, show };
  const button = (command, key) => {
    const made = h("button", { type: "button", class: "icon", data: { command }, on: { click: () => transport.send(command) } }, icon(key));
    for (const name of ["aria-label", "title"]) made.setAttribute(name, t(key));
    return made;
  };
  const buttons = Object.fromEntries(COMMANDS.map(([command, key]) => [key, button(command, key)]));
  const { previous, pause, resume, stop, next } = buttons;
  transport.element = h("div", { class: "row", role: "group", "aria-label": t("transport") },
    previous, pause, resume, next, stop, button(RESTART, "restart"));
  resume.hidden = true;

  function show({ state }) {
    const paused = state === "paused";
    const focused = [pause, resume].includes(document.activeElement);
    pause.hidden = paused;
    resume.hidden = !paused;
    if (focused) (paused ? resume : pause).focus();
  }
  return transport;
}

/** The title, the position that runs on while it plays, and the titles around. */
function nowPlaying({ point, put: send }, { titles, changed }) {
  const settable = point.method.includes("PUT");
  const title = h("strong", { data: { role: "title" } }, "–");
  const chip = h("span", { class: "chip", data: { role: "state" } }, t("state.unknown"));
  const source = h("p", { class: "small soft mono", data: { role: "source" }, hidden: true });
  const why = h("p", { class: "small soft", data: { role: "why" }, hidden: true }, t("state.waiting.hint"));
  const bar = h("input", { type: "range", min: 0, max: 1, step: 1, value: 0, "aria-label": t("position") });
  const played = h("span", { data: { role: "position" } });
  const length = h("span", { data: { role: "length" } });
  const body = h("div", { class: "stack tight" },
    h("div", { class: "row between", role: "status" }, h("p", { class: "grow now-title" }, title), chip), why, source,
    h("div", {}, bar, h("div", { class: "ends", "aria-hidden": "true" }, played, length)));
  let now = null;
  let since = 0;
  let moving = 0;
  let isOnline = false;

  const position = () => {
    const run = now.state === "playing" ? (performance.now() - since) / 1000 : 0;
    return Math.min(now.position + run, now.length ?? Infinity);
  };

  function drawPosition() {
    const known = now !== null && now.position !== null && now.state !== "idle";
    bar.disabled = !isOnline || !settable || !known || now.length === null;
    const at = known ? position() : 0;
    if (!moving) bar.value = at;
    played.textContent = known ? duration(moving ? Number(bar.value) : at) : "";
    bar.setAttribute("aria-valuetext", known ? t("positionOf", { at: duration(moving ? Number(bar.value) : at), length: now.length === null ? "?" : duration(now.length) }) : t("nothing"));
  }

  const settle = () => { moving = 0; };
  bar.addEventListener("input", () => {
    clearTimeout(moving);
    moving = setTimeout(settle, SETTLE_MS);
    drawPosition();
  });
  bar.addEventListener("change", () => {
    now = { ...now, position: Number(bar.value) };
    since = performance.now();
    send(JSON.stringify({ position: Number(bar.value) }));
  });
  const ticking = setInterval(() => {
    if (!body.isConnected) clearInterval(ticking);
    else if (now?.state === "playing") drawPosition();
  }, TICK_MS);

  return {
    latest: true,
    rereads: true,
    output: null,
    body,
    hide: titles.hide,
    enabled(online) {
      isOnline = online;
      drawPosition();
      titles.enable(online);
    },
    show(told) {
      now = told;
      since = performance.now();
      title.textContent = told.title || t("nothingPlays");
      if (chip.dataset.state !== told.state) {
        chip.dataset.state = told.state;
        chip.className = `chip ${TONES[told.state] ?? ""}`;
        chip.textContent = t(`state.${told.state}`);
      }
      why.hidden = told.state !== "waiting";
      source.hidden = !told.source || told.source === told.title;
      source.textContent = told.source;
      bar.max = Math.max(1, Math.ceil(told.length ?? 1));
      length.textContent = told.length === null || told.state === "idle" ? "" : duration(told.length);
      titles.show(told);
      drawPosition();
      changed(told);
    },
  };
}

/** The titles around the one that plays; a button for each calls `jump` with its number. */
function titleList(jump) {
  const where = h("p", { class: "small soft", data: { role: "where" } });
  const list = h("ol", { class: "titles", "aria-label": t("titlesAround") });
  const element = h("div", { class: "stack tight", hidden: true }, where, list);
  let shown = "";
  let isOnline = false;

  const line = ([number, title], current) => h("li", {},
    h("button", { type: "button", class: "quiet", disabled: !isOnline || !jump, "aria-current": number === current ? "true" : null,
      data: { jump: number }, on: { click: () => jump(number) } }, h("span", { class: "soft" }, `${number}.`), h("span", { class: "grow" }, title)));

  function draw(queue, index) {
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.jump : null;
    put(list, queue.map((entry) => line(entry, index)));
    if (focused !== null) (list.querySelector(`[data-jump="${focused}"]`) ?? list.querySelector("button"))?.focus();
  }

  return {
    element,
    hide: () => { element.hidden = true; },
    enable(online) {
      isOnline = online;
      for (const button of list.querySelectorAll("button")) button.disabled = !online || !jump;
    },
    show({ queue, index, count }) {
      element.hidden = queue.length === 0 || count === 1;
      where.textContent = index === null || count === null ? "" : t("titleOf", { n: index, count });
      const drawn = JSON.stringify([queue, index]);
      if (drawn !== shown) draw(queue, index);
      shown = drawn;
    },
  };
}

const isMode = (value) => (MODES.includes(value) ? value : null);

/** How it goes on after a title. */
export const modeSelect = orText(isMode, ({ label, put: send }) => {
  const select = h("select", { "aria-label": label, on: { change: () => send(select.value) } },
    MODES.map((mode) => h("option", { value: mode }, t(`mode.${mode}`))));
  return { latest: true, output: null, body: h("div", {}, select), show: (mode) => { select.value = mode; } };
});

/** When it stops by itself. */
export const sleepTimer = orText(readTimer, ({ put: send, reread }) => {
  const output = h("output", { class: "small" }, "–");
  const button = (value, text) => h("button", { type: "button", data: { timer: value }, on: { click: () => send(value) } }, text);
  const quick = [
    ...QUICK_MINUTES.map((n) => button(String(n), t("minutes", { n }))),
    button("end", t("timer.atEnd")),
    ...QUICK_STORIES.map((n) => button(`after ${n}`, t("timer.more", { n }))),
    button("off", t("off")),
  ];
  const time = h("input", { type: "time", required: true });
  const submitTime = (event) => {
    event.preventDefault();
    send(`at ${time.value}`);
    time.value = "";
  };
  const amount = h("input", { type: "number", min: 1, max: 600, step: 1, required: true, inputmode: "numeric" });
  const submit = (event) => {
    event.preventDefault();
    send(String(Number(amount.value)));
    amount.value = "";
  };
  const body = h("div", { class: "stack tight" },
    h("div", { class: "row quick" }, quick),
    h("form", { on: { submit } }, field(t("timer.other"), (attributes) => h("div", { class: "row" },
      h("div", { class: "grow" }, set(amount, attributes)), h("button", { type: "submit" }, t("set"))))),
    h("form", { on: { submit: submitTime } }, field(t("timer.time"), (attributes) => h("div", { class: "row" },
      h("div", { class: "grow" }, set(time, attributes)), h("button", { type: "submit" }, t("set"))))));
  let timer = { kind: "off" };
  const asking = setInterval(() => {
    if (!body.isConnected) clearInterval(asking);
    else if (timer.kind === "minutes" && !document.hidden && !amount.disabled) reread();
  }, TIMER_MS);
  return {
    rereads: true,
    output,
    body,
    show(told) {
      timer = told;
      output.textContent = t(`timer.${told.kind}`, { n: told.amount, time: told.time });
      for (const each of quick) if (["end", "off"].includes(each.dataset.timer)) each.setAttribute("aria-pressed", String(each.dataset.timer === told.kind));
    },
  };
});
