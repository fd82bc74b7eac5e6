// History charts: a data point's numbers over time, each with the same numbers as a table.

import { get } from "./api.js";
import { chart } from "./chart.js";
import { h, put, uid } from "./dom.js";
import { dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { empty } from "./shell.js";
import { throttle } from "./throttle.js";
import "./words/history.js";

const HOURS = [1, 24, 168, 720];
const ROWS_SHOWN = 200;
const WIDTH_MIN = 260;

export function historyCard(path, signal) {
  let hours = 24;
  let numeric = [];
  // The data points that were reported since their chart was drawn.
  const stale = new Set();
  const body = h("div", { class: "grid" });
  const id = uid("range");
  const select = h("select", { id, on: { change: () => { hours = Number(select.value); load(); } } },
    HOURS.map((n) => h("option", { value: n, selected: n === hours }, t(`range.${n}`))));
  const element = h("section", { class: "card", data: { part: "history" } },
    h("div", { class: "card-head" }, h("h2", {}, t("history")), h("div", { class: "row" }, h("label", { class: "small", for: id }, t("range")), h("div", {}, select))), body);
  const slots = new Map();
  const drawn = new Map();
  let width = 0;
  // Charts are drawn at their real width, so that their labels have the page's font size.
  const resized = new ResizeObserver(() => {
    if (Math.abs(body.clientWidth - width) < 2) return;
    width = body.clientWidth;
    for (const [point, series] of drawn.values()) draw(point, series);
  });
  resized.observe(body);

  const loadStale = throttle(() => {
    const wanted = numeric.filter(({ name }) => stale.has(name));
    stale.clear();
    return load(wanted);
  }, signal);

  async function load(points = numeric) {
    await Promise.all(points.map(async (point) => {
      try {
        const series = await get(`${path}/series?key=${encodeURIComponent(point.name)}&hours=${hours}`);
        if (!signal.aborted && slots.has(point.name)) draw(point, series);
      } catch (error) {
        if (!signal.aborted && slots.has(point.name)) put(slots.get(point.name), h("p", { class: "bad" }, errorText(error)));
      }
    }));
  }

  function draw(point, series) {
    drawn.set(point.name, [point, series]);
    const label = point.label || point.name;
    const numbers = series.values.map(([ts, value]) => [ts, Number(value)]).filter(([, value]) => Number.isFinite(value));
    const slot = slots.get(point.name);
    const open = slot.querySelector("details")?.open ?? false;
    if (numbers.length === 0) {
      put(slot, h("h3", {}, label), empty(t("noHistory"), t("noHistoryHint")));
      return;
    }
    put(slot, h("h3", {}, label),
      chart({ label, numbers, start: series.start, end: series.end, low: point.pattern?.min, high: point.pattern?.max, width: Math.max(WIDTH_MIN, slot.clientWidth) }),
      table(label, numbers, open));
  }

  signal.addEventListener("abort", () => resized.disconnect());
  return {
    element,
    points(described) {
      const now = described.filter((point) => point.type === "int");
      if (JSON.stringify(now) === JSON.stringify(numeric)) return;
      numeric = now;
      slots.clear();
      drawn.clear();
      for (const point of numeric) slots.set(point.name, h("div", { class: "c6 stack tight", data: { series: point.name } }));
      put(body, [...slots.values()]);
      load();
    },
    reported(entry) {
      if (!slots.has(entry.key)) return;
      stale.add(entry.key);
      loadStale();
    },
  };
}

function table(label, numbers, open) {
  const rows = numbers.slice(-ROWS_SHOWN).reverse();
  return h("details", { open },
    h("summary", {}, t("asTable", { n: rows.length })),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {},
      h("caption", { class: "sr" }, label),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("time")), h("th", { scope: "col", class: "num" }, label))),
      h("tbody", {}, rows.map(([ts, value]) => h("tr", {}, h("td", {}, dateTime(ts)), h("td", { class: "num" }, value)))))));
}
