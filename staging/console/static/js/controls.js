// The controls of a device, made from its self-description: what it plays, its family's settings, all else.

import { makeControl } from "./control.js";
import { h, put } from "./dom.js";
import { familyShapes } from "./family.js";
import { t } from "./i18n.js";
import { shapeOf } from "./inputs.js";
import { modeSelect, playerParts, sleepTimer } from "./player.js";
import { empty } from "./shell.js";
import "./words/controls.js";

// Data points that a player's card shows, if the device has one.
const PLAYER = ["player", "play", "play_mode", "sleep_timer"];
const SPECIAL = { ...familyShapes, play_mode: ["string", modeSelect], sleep_timer: ["string", sleepTimer] };

/** The cards of all controls; call `update` when the device's state changed, `reported` for a reported value. */
export function controls(path, signal) {
  const list = h("div", { class: "controls" });
  const hint = h("p", { class: "note", hidden: true }, t("offlineControls"));
  const again = h("button", { type: "button", class: "quiet", on: { click: () => { reset(); read(); } } }, t("readAll"));
  const element = h("section", { class: "card", data: { part: "controls" } },
    h("div", { class: "card-head" }, h("h2", {}, t("controls")), again), h("div", { class: "stack" }, hint, list));
  const player = h("section", { class: "card stack", hidden: true, data: { part: "player" } });
  const family = h("section", { class: "card stack", hidden: true, data: { part: "family" } });
  let made = [];
  let described = "";
  let isOnline = false;

  // The clock of a page stands still while its computer sleeps.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isOnline) for (const control of made) control.follow();
  }, { signal });

  function read() {
    for (const control of made) control.read();
  }

  function reset() {
    for (const control of made) control.reset();
  }

  function draw(points) {
    const has = points.some((point) => point.name === "player" && point.type === "string");
    const ofPlayer = points.filter((point) => has && PLAYER.includes(point.name));
    const ofFamily = points.filter((point) => isSpecial(point) && point.name in familyShapes);
    const rest = points.filter((point) => !ofPlayer.includes(point) && !ofFamily.includes(point));
    made = [];
    const make = (point, shape, options) => {
      const control = makeControl(path, point, signal, shape, options);
      made.push(control);
      return control;
    };
    const makeAny = (point) => (isSpecial(point) ? make(point, SPECIAL[point.name][1], { words: `point.${point.name}` }) : make(point, shapeOf(point)));
    put(list, rest.length || !points.length ? rest.map((point) => makeAny(point).element) : null);
    if (!points.length) put(list, empty(t("noPoints"), t("noPointsHint")));
    player.hidden = !ofPlayer.length;
    put(player, ofPlayer.length ? playerParts(ofPlayer, make, makeAny) : null);
    family.hidden = !ofFamily.length;
    put(family, h("h2", {}, t("family")), ofFamily.map((point) => makeAny(point).element));
  }

  return {
    element,
    player,
    family,
    update(points, online) {
      const description = JSON.stringify(points);
      const wasOnline = isOnline && description === described;
      if (description !== described) {
        described = description;
        draw(points);
      }
      hint.hidden = online;
      again.disabled = !online;
      isOnline = online;
      for (const control of made) control.enable(online);
      if (online && !wasOnline) read();
    },
    reported({ key, value, earlier }) {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      for (const control of made) if (control.name === key) control.reported(text, isOnline, earlier);
    },
  };
}

/** Whether the console has an input for the grammar that a data point of this name has on our machines. */
function isSpecial(point) {
  // A device may call a data point "constructor", which every object has.
  return Object.hasOwn(SPECIAL, point.name) && SPECIAL[point.name][0] === point.type && point.method.includes("PUT") && point.method.includes("GET");
}
