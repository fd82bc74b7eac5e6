// What the list of devices shows, as its address says it: a page can be saved, sent and gone back to.

export const FILTERS = ["presence", "product", "batch", "version", "owner", "update", "tag"];
export const COLUMNS = ["device", "presence", "version", "battery", "volume", "product", "batch", "tags", "update", "heartbeat", "owner", "added"];
export const SIZES = [25, 50, 100, 200];
const CHOSEN = ["device", "presence", "version", "battery", "volume", "tags", "heartbeat", "owner"];
const KEY = "story-console-columns";

/** The names and values of the address, as the cloud reads them. */
export function asked() {
  return new URLSearchParams(location.search);
}

/** Go to another page of the list; `replace` while somebody types, so that Back does not go letter by letter. */
export function go(wanted, { replace = false } = {}) {
  const text = wanted.toString();
  const path = text ? `/console/devices?${text}` : "/console/devices";
  if (replace) history.replaceState(history.state, "", path);
  else history.pushState(null, "", path);
}

/** The address without a page number, with another value. */
export function changed(name, value) {
  const wanted = asked();
  wanted.delete("page");
  if (value) wanted.set(name, value);
  else wanted.delete(name);
  return wanted;
}

/** The columns that this browser's user chose. */
export function columns() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    const known = COLUMNS.filter((name) => name === "device" || kept.includes(name));
    return known.length > 1 ? known : CHOSEN;
  } catch {
    return CHOSEN;
  }
}

export function keepColumns(names) {
  try {
    localStorage.setItem(KEY, JSON.stringify(names));
  } catch { /* not remembered, but chosen */ }
}

/** Remember how far the page is scrolled, in its entry of the browser's history, until `signal` aborts. */
export function keepScroll(signal) {
  let waiting = 0;
  addEventListener("scroll", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState({ ...history.state, scroll: scrollY }, ""), 200);
  }, { signal, passive: true });
  signal.addEventListener("abort", () => clearTimeout(waiting));
}
