// The utterances of a device: a list with length, waveform and stages, a player, and a button that lets it listen.

import { get, post } from "./api.js";
import { announce, h, icon, put, svg } from "./dom.js";
import { dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { empty } from "./shell.js";
import { throttle } from "./throttle.js";
import "./words/speech.js";

const HEIGHT = 48;

export function speechCard(path, signal) {
  const list = h("div", {});
  const more = h("button", { type: "button", class: "quiet", hidden: true, on: { click: () => load(next) } }, t("older"));
  const listening = listenButtons(path, signal);
  const element = h("section", { class: "card", data: { part: "speech" } },
    h("div", { class: "card-head" }, h("h2", {}, t("speech")), listening.element), listening.answer, list, more);
  const player = new Audio();
  player.preload = "none";
  let playing = null;
  let next = null;
  let shown = new Map();

  async function load(before) {
    try {
      const page = await get(`${path}/utterances${before ? `?before=${before}` : ""}`);
      if (signal.aborted) return;
      if (!before) draw(page.utterances);
      else for (const spoken of page.utterances) append(spoken);
      next = page.next;
      more.hidden = next === null;
    } catch (error) {
      if (!signal.aborted) announce(errorText(error));
    }
  }

  function draw(utterances) {
    const before = shown;
    shown = new Map();
    if (utterances.length === 0) {
      put(list, empty(t("noSpeech"), t("noSpeechHint")));
      return;
    }
    put(list);
    // The utterance that plays keeps its line, and with it its button and position.
    for (const spoken of utterances) {
      append(spoken, before.get(keyOf(spoken)));
    }
  }

  function append(spoken, line) {
    const key = keyOf(spoken);
    shown.set(key, line ?? makeLine(spoken));
    list.append(shown.get(key).element);
  }

  function makeLine(spoken) {
    const label = (words) => t(words, { id: spoken.id });
    const button = h("button", { type: "button", class: "icon", "aria-label": label("playUtterance"), on: { click: toggle } }, icon("play"));
    const bars = waveform(spoken);
    const remarks = [
      spoken.missing ? t("missing", { n: spoken.missing }) : spoken.complete ? null : t("incomplete"),
      spoken.damaged ? t("damaged", { n: spoken.damaged }) : null,
    ].filter(Boolean);
    const line = {
      element: h("div", { class: "utterance", data: { utterance: spoken.id } },
        button, bars.element,
        h("div", { class: "when" }, h("div", {}, h("strong", {}, t("seconds", { n: spoken.seconds.toFixed(1) })), ` · ${spoken.id}`),
          h("div", {}, dateTime(spoken.start)), remarks.map((text) => h("div", { class: "bad" }, text))),
        stageList(spoken.stages)),
      tick() { bars.mark(spoken.seconds ? player.currentTime / spoken.seconds : 0); },
      idle() {
        put(button, icon("play"));
        button.setAttribute("aria-label", label("playUtterance"));
        bars.mark(0);
      },
      busy() {
        put(button, icon("pause"));
        button.setAttribute("aria-label", label("pauseUtterance"));
      },
    };
    async function toggle() {
      if (playing === line) { stop(); return; }
      stop();
      playing = line;
      line.busy();
      player.src = `/console/api${path}/utterances/${spoken.start}-${spoken.id}.wav`;
      try {
        await player.play();
      } catch (error) {
        if (error.name === "AbortError") return;  // stopped before it began
        stop();
        announce(t("cannotPlay"));
      }
    }
    return line;
  }

  function stop() {
    player.pause();
    playing?.idle();
    playing = null;
  }

  player.addEventListener("timeupdate", () => playing?.tick());
  player.addEventListener("ended", stop);
  signal.addEventListener("abort", () => { stop(); player.removeAttribute("src"); });
  load(null);
  return {
    element,
    update: (now) => listening.update(now),
    // Segments arrive three a second, for as long as somebody speaks.
    heard: throttle(() => load(null), signal),
  };
}

/** A line is drawn anew when its utterance got more segments or stages. */
function keyOf({ start, id, segments, stages }) {
  return `${start}-${id}-${segments}-${stages.map(({ stage, ms }) => `${stage}${ms}`).join()}`;
}

function stageList(stages) {
  return h("ol", { class: "stages small soft", "aria-label": t("stages") }, stages.map(({ stage, ms }) =>
    h("li", { data: { stage } }, h("span", {}, t(`stage.${stage}`)), " ", h("strong", {}, t("seconds", { n: (ms / 1000).toFixed(2) })))));
}

/** Only for a device that says that the cloud may open its microphone. */
function listenButtons(path, signal) {
  const answer = h("p", { class: "answer small soft", role: "status", hidden: true });
  const start = h("button", { type: "button", data: { action: "listen" }, on: { click: () => send("start", "listenBegun") } }, t("listen"));
  const stop = h("button", { type: "button", class: "quiet", data: { action: "cancel" }, on: { click: () => send("cancel", "listenEnded") } }, t("listenStop"));
  const element = h("div", { class: "row", hidden: true }, start, stop);

  async function send(action, done) {
    showAnswer(t("sending"), false);
    try {
      const { code, content } = await post(`${path}/listen`, { action });
      if (signal.aborted) return;
      const fine = code.startsWith("2.");
      showAnswer(fine ? t(done) : t("deviceSaid", { code, text: content }), !fine);
    } catch (error) {
      if (!signal.aborted) showAnswer(errorText(error), true);
    }
  }

  function showAnswer(text, bad) {
    answer.hidden = false;
    answer.textContent = text;
    answer.className = `answer small ${bad ? "bad" : "soft"}`;
  }

  return {
    element,
    answer,
    update({ listens }) {
      element.hidden = !listens;
      if (!listens) answer.hidden = true;
    },
  };
}

function waveform({ peaks, seconds }) {
  const width = Math.max(1, peaks.length);
  const rects = peaks.map((peak, index) => {
    const tall = Math.max(1.5, Math.sqrt(peak) * HEIGHT);
    return svg("rect", { x: index + 0.15, width: 0.7, y: (HEIGHT - tall) / 2, height: tall });
  });
  const element = svg("svg", { class: "wave", viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": t("waveform", { n: seconds.toFixed(1) }) }, rects);
  return {
    element,
    mark(part) {
      rects.forEach((rect, index) => rect.classList.toggle("done", index < part * rects.length));
    },
  };
}
