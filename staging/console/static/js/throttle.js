// Work that news ask for, at once and then at most once in a while: news that never end delay it by no more than that.

const PAUSE_MS = 1000;

/**
 * Return a function that asks for `work`: it runs at once, and once more after the pause if it was asked for meanwhile.
 * Work that takes longer than the pause is not begun a second time beside itself. A debounce, which each event begins anew,
 * would show nothing as long as events keep coming.
 */
export function throttle(work, signal, pause = PAUSE_MS) {
  let busy = false;
  let again = false;
  return async function ask() {
    again = true;
    if (busy) return;
    busy = true;
    while (again && !signal.aborted) {
      again = false;
      await Promise.allSettled([work(), new Promise((done) => setTimeout(done, pause))]);
    }
    busy = false;
  };
}
