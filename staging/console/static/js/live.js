// Live streams: server-sent events that come back by themselves after a break.

const BASE = "/console/api";
// The cloud beats every 15 s; a stream that is silent for longer is dead without saying so.
const SILENCE_MS = 40000;
const RETRY_MS = 3000;

/**
 * Follow a stream until `signal` aborts.
 * `handlers` maps event names to functions of the event's data; `onState(open)` tells whether it runs.
 * Reports have ids: the browser sends the last one when it comes back, and the cloud goes on there.
 */
export function follow(path, handlers, onState, signal) {
  let source = null;
  let watchdog = 0;
  let again = 0;
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(reopen, SILENCE_MS);
  };
  const reopen = () => {
    source?.close();
    onState(false);
    clearTimeout(again);
    if (!signal.aborted) again = setTimeout(open, RETRY_MS);
  };
  const open = () => {
    source = new EventSource(BASE + path);
    source.addEventListener("open", () => { onState(true); alive(); });
    source.addEventListener("error", () => {
      onState(false);
      // The browser retries a broken stream, but gives up on a refused one.
      if (source.readyState === EventSource.CLOSED) reopen();
    });
    source.addEventListener("beat", alive);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        alive();
        handle(JSON.parse(event.data));
      });
    }
  };
  signal.addEventListener("abort", () => {
    clearTimeout(watchdog);
    clearTimeout(again);
    source?.close();
  });
  open();
}
