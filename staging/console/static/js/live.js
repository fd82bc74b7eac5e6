// Live streams: server-sent events, with reconnects; and what a page says while it has no news.

import { BASE, checkSession } from "./api.js";
import { h } from "./dom.js";
import { clock } from "./format.js";
import { t } from "./i18n.js";

// The cloud sends a heartbeat every 15 s; a stream that is silent for longer is dead.
const SILENCE_MS = 40000;
const RETRY_MS = 3000;
// A browser opens at most six connections to one server, for all tabs, so hidden tabs close theirs.
const HIDDEN_MS = 20000;
// After this long without a stream the page is shown as old: what it says may be true no more.
const STALE_MS = 8000;
// The same for a tab that comes to the front, whose stream was closed meanwhile.
const RETURN_MS = 500;

/**
 * Follow a stream until `signal` aborts.
 * `handlers` maps event names to functions of the event's data; `onState(open)` is called when the stream opens or breaks.
 * Reports have ids: a reconnect sends the last one, and the cloud continues after it. `refused` is called when the cloud
 * refuses the stream to somebody who is logged in: the page may be theirs no more.
 */
export function follow(path, handlers, onState, signal, refused = () => {}) {
  const age = ageing(signal);
  let source = null;
  let last = "";
  let watchdog = 0;
  let again = 0;
  let hiding = 0;

  function open() {
    close();
    const joint = path.includes("?") ? "&" : "?";
    source = new EventSource(BASE + path + (last ? `${joint}after=${last}` : ""));
    source.addEventListener("open", () => { onState(true); alive(); });
    source.addEventListener("error", broken);
    source.addEventListener("beat", alive);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        alive();
        last = event.lastEventId || last;
        handle(JSON.parse(event.data));
      });
    }
  }

  async function broken() {
    // The browser retries a broken stream, but not a refused one.
    const isRefused = source?.readyState === EventSource.CLOSED;
    onState(false);
    age.broken();
    if (isRefused) later();
    // The cloud ends the streams of a session that has ended.
    if (await checkSession() && isRefused && !signal.aborted) refused();
  }

  function close() {
    clearTimeout(watchdog);
    clearTimeout(again);
    source?.close();
    source = null;
  }

  function alive() {
    age.alive();
    clearTimeout(watchdog);
    watchdog = setTimeout(later, SILENCE_MS);
  }

  function later() {
    close();
    onState(false);
    age.broken();
    again = setTimeout(open, RETRY_MS);
  }

  function visibility() {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(close, HIDDEN_MS);
    else if (source === null) {
      age.broken(RETURN_MS);
      open();
    }
  }

  document.addEventListener("visibilitychange", visibility, { signal });
  // Somebody has logged in again, here or in another tab.
  addEventListener("story-session", open, { signal });
  // A page in the back-forward cache would keep its connection.
  addEventListener("pagehide", close, { signal });
  addEventListener("pageshow", (event) => { if (event.persisted) open(); }, { signal });
  signal.addEventListener("abort", () => { close(); clearTimeout(hiding); });
  open();
}

/** Show the page as old once it has been without news for long, and since when. */
function ageing(signal) {
  const root = document.documentElement;
  let since = Date.now();
  let timer = 0;

  function show() {
    root.dataset.stale = "";
    const banner = document.getElementById("stale");
    if (banner) banner.textContent = t("stale", { time: clock(since) });
  }

  function fresh() {
    clearTimeout(timer);
    timer = 0;
    if (!("stale" in root.dataset)) return;
    delete root.dataset.stale;
    const banner = document.getElementById("stale");
    if (banner) banner.textContent = "";
  }

  signal.addEventListener("abort", fresh);
  return {
    alive() {
      since = Date.now();
      fresh();
    },
    broken(wait = STALE_MS) {
      timer ||= setTimeout(show, wait);
    },
  };
}

/** The chip that shows whether the page's stream is open. */
export function liveChip() {
  const element = h("span", { class: "chip warn", role: "status", data: { role: "live" } }, t("reconnecting"));
  const set = (open) => {
    element.className = `chip ${open ? "good" : "warn"}`;
    if (element.textContent !== t(open ? "live" : "reconnecting")) element.textContent = t(open ? "live" : "reconnecting");
  };
  return { element, set };
}
