// A step chart in SVG: a value is valid until the next one is reported.

import { h, svg } from "./dom.js";
import { dateTime } from "./format.js";
import { language, t } from "./i18n.js";
import "./words/history.js";

const HEIGHT = 200;
const LEFT = 36;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 28;
const HOUR = 3600000;

/**
 * Draw `numbers` ([ms, value], oldest first) from `start` to `end`, `width` pixels wide; `low` and
 * `high` bound the axis.
 */
export function chart({ label, numbers, start, end, low, high, width }) {
  const values = numbers.map(([, value]) => value);
  const bottom = low ?? Math.min(...values);
  const top = high ?? Math.max(...values, bottom + 1);
  const x = (ts) => LEFT + ((ts - start) / (end - start)) * (width - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - bottom) / (top - bottom || 1)) * (HEIGHT - TOP - BOTTOM);
  const line = path(numbers, x, y, end);
  const words = t("chartOf", { name: label, low: Math.min(...values), high: Math.max(...values), last: values.at(-1) });
  const picture = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": words },
    levels(bottom, top).map((value) => [
      svg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value),
    ]),
    times(start, end).map(([ts, text]) => svg("text", { x: x(ts), y: HEIGHT - 8, "text-anchor": "middle" }, text)),
    svg("path", { class: "area", d: `${line}V${y(bottom)}H${x(numbers[0][0])}Z` }),
    svg("path", { class: "line", d: line }),
    svg("circle", { class: "dot", cx: x(end), cy: y(values.at(-1)), r: 4.5 }));
  const readout = h("p", { class: "small soft", "aria-hidden": "true" }, words);
  hover(picture, readout, words, { numbers, x, y, width });
  return h("figure", {}, picture, readout);
}

function path(numbers, x, y, end) {
  const [first, ...rest] = numbers;
  const steps = rest.map(([ts, value]) => `H${round(x(ts))}V${round(y(value))}`);
  return `M${round(x(first[0]))} ${round(y(first[1]))}${steps.join("")}H${round(x(end))}`;
}

const round = (number) => Math.round(number * 10) / 10;

function levels(bottom, top) {
  const middle = Math.round((bottom + top) / 2);
  return [...new Set([bottom, middle, top])];
}

/** Return round clock times within the range, with their labels. */
function times(start, end) {
  const hours = (end - start) / HOUR;
  const step = hours <= 1 ? HOUR / 4 : hours <= 24 ? 6 * HOUR : hours <= 168 ? 48 * HOUR : 168 * HOUR;
  const options = hours <= 24 ? { hour: "2-digit", minute: "2-digit", hour12: false } : { month: "numeric", day: "numeric" };
  const format = new Intl.DateTimeFormat(language() === "zh" ? "zh-CN" : "en-GB", options);
  const offset = new Date(end).getTimezoneOffset() * 60000;
  const found = [];
  for (let ts = Math.ceil((start - offset) / step) * step + offset; ts <= end; ts += step) {
    // A label at the edge would be cut off.
    if (ts - start > (end - start) * 0.04 && end - ts > (end - start) * 0.04) found.push([ts, format.format(ts)]);
  }
  return found;
}

function hover(picture, readout, words, { numbers, x, y, width }) {
  const cross = svg("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const dot = svg("circle", { class: "dot", r: 4.5, visibility: "hidden" });
  picture.append(cross, dot);
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    const held = numbers.findLast(([ts]) => x(ts) <= at) ?? numbers[0];
    for (const [element, values] of [[cross, { x1: at, x2: at }], [dot, { cx: at, cy: y(held[1]) }]]) {
      for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
      element.setAttribute("visibility", at >= LEFT && at <= width - RIGHT ? "visible" : "hidden");
    }
    readout.textContent = `${dateTime(held[0])}: ${held[1]}`;
  });
  picture.addEventListener("pointerleave", () => {
    cross.setAttribute("visibility", "hidden");
    dot.setAttribute("visibility", "hidden");
    readout.textContent = words;
  });
}
