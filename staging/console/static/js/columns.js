// Cards in two columns of about the same height, or in one on a narrow screen, in the same order.

import { h, put } from "./dom.js";

const WIDE = matchMedia("(min-width: 861px)");
// Lists that are fetched when the page opens have come by then.
const SETTLED_MS = 1500;

/** Put `cards` into columns; `arrange` puts them anew after one was shown, hidden or filled. */
export function columns(cards, signal) {
  const left = h("div", { class: "stack wide" });
  const right = h("div", { class: "stack wide" });
  const element = h("div", { class: "columns" }, left, right);
  const visible = (card) => !card.hidden;

  function arrange() {
    right.hidden = !WIDE.matches;
    if (right.hidden) {
      move(left, cards);
      return;
    }
    const shown = [[], []];
    const heights = [0, 0];
    for (const card of cards) {
      const column = heights[1] < heights[0] ? 1 : 0;
      shown[column].push(card);
      if (visible(card)) heights[column] += card.offsetHeight;
    }
    move(left, shown[0]);
    move(right, shown[1]);
  }

  /** Cards that stay where they are keep focus and scroll position. */
  function move(column, wanted) {
    if (wanted.length === column.children.length && wanted.every((card, index) => column.children[index] === card)) return;
    put(column, wanted);
  }

  put(left, cards);
  WIDE.addEventListener("change", arrange, { signal });
  const settling = setTimeout(() => { if (!element.contains(document.activeElement)) arrange(); }, SETTLED_MS);
  signal.addEventListener("abort", () => clearTimeout(settling));
  return { element, arrange };
}
