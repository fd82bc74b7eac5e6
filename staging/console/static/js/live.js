// Live streams: server-sent events, with reconnects.

import { BASE, checkSession } from "./api.js";

// The cloud sends a heartbeat every 15 s; a stream that is silent for longer is dead.
const SILENCE_MS = 40000;
const RETRY_MS = 3000;
// A browser opens at most six connections to one server, for all tabs, so hidden tabs close theirs.
const HIDDEN_MS = 20000;

/**
 * Follow a stream until `signal` aborts.
 * `handlers` maps event names to functions of the event's data; `onState(open)` is called when the stream opens or breaks.
 * Reports have ids: a reconnect sends the last one, and the cloud continues after it.
 */
export function follow(path, handlers, onState, signal) {
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
    source.addEventListener("error", () => {
      onState(false);
      checkSession();  // the cloud ends the streams of a session that has ended
      // The browser retries a broken stream, but not a refused one.
      if (source?.readyState === EventSource.CLOSED) later();
    });
    source.addEventListener("beat", alive);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        alive();
        last = event.lastEventId || last;
        handle(JSON.parse(event.data));
      });
    }
  }

  function close() {
    clearTimeout(watchdog);
    clearTimeout(again);
    source?.close();
    source = null;
  }

  function alive() {
    clearTimeout(watchdog);
    watchdog = setTimeout(later, SILENCE_MS);
  }

  function later() {
    close();
    onState(false);
    again = setTimeout(open, RETRY_MS);
  }

  function visibility() {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(close, HIDDEN_MS);
    else if (source === null) open();
  }

  document.addEventListener("visibilitychange", visibility, { signal });
  // A page in the back-forward cache would keep its connection.
  addEventListener("pagehide", close, { signal });
  addEventListener("pageshow", (event) => { if (event.persisted) open(); }, { signal });
  signal.addEventListener("abort", () => { close(); clearTimeout(hiding); });
  open();
}
