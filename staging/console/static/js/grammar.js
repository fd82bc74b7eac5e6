// The data points whose text has a grammar, read and written; docs/data-points.md describes them.
// A reader returns null for a text that is none: another maker's device may mean something else by a name.

export const MODES = ["order", "shuffle", "repeat-one", "repeat-all"];
const STATES = ["idle", "loading", "playing", "paused", "waiting"];
const OFF = "off";
const TIME = "([01]?\\d|2[0-3]):([0-5]\\d)";
const AT = new RegExp(`^at ${TIME}(?: or ${TIME})?$`);
const PERIOD = new RegExp(`^${TIME}\\s*-\\s*${TIME}$`);
const NIGHT = new RegExp(`^${TIME}-${TIME} max=(\\d{1,2})$`);
const LIMIT = /^(max|min|start)=(\d{1,2}|last)$/;

const words = (text) => String(text).trim().toLowerCase().replace(/\s+/g, " ");
const clock = (hour, minute) => `${hour.padStart(2, "0")}:${minute}`;
const count = (text, low, high) => (/^\d{1,6}$/.test(text) && Number(text) >= low && Number(text) <= high ? Number(text) : null);

/** What plays: {state, title, position, length, queue: [[number, title]], index, count, source}; seconds, or null. */
export function readPlayer(text) {
  let told = null;
  try {
    told = JSON.parse(text);
  } catch { /* no JSON: null */ }
  if (!STATES.includes(told?.state)) return null;
  const seconds = (value) => (typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null);
  const string = (value) => (typeof value === "string" ? value : "");
  return {
    state: told.state,
    title: string(told.title),
    source: string(told.source),
    position: seconds(told.position),
    length: seconds(told.length),
    index: Number.isInteger(told.index) ? told.index : null,
    count: Number.isInteger(told.count) ? told.count : null,
    queue: Array.isArray(told.queue) ? told.queue.filter(isTitle) : [],
  };
}

const isTitle = (entry) => Array.isArray(entry) && Number.isInteger(entry[0]) && typeof entry[1] === "string";

/** A sleep timer: {kind: "off" | "minutes" | "end" | "after" | "at", amount}; at: with time, "20:30" or "08:30 or 20:30". */
export function readTimer(text) {
  const said = words(text);
  if (said === OFF || said === "end") return { kind: said, amount: 0 };
  const at = AT.exec(said);
  if (at) return { kind: "at", amount: 0, time: clock(at[1], at[2]) + (at[3] ? ` or ${clock(at[3], at[4])}` : "") };
  const stories = /^after (\d+)$/.exec(said);
  const amount = count(stories ? stories[1] : said, 1, stories ? 99 : 600);
  return amount === null ? null : { kind: stories ? "after" : "minutes", amount };
}

/** The steps of the volume: {max, min, start}; start null: as before the machine was switched off. */
export function readLimits(text) {
  const found = {};
  for (const word of words(text).split(" ")) {
    const [, name, step] = LIMIT.exec(word) ?? [];
    if (!name || name in found || (step === "last" && name !== "start")) return null;
    found[name] = step === "last" ? null : Number(step);
  }
  return "max" in found && "min" in found && "start" in found ? found : null;
}

export const writeLimits = ({ max, min, start }) => `max=${max} min=${min} start=${start ?? "last"}`;

/** The night's limit: {on: false}, or {on: true, from, to, max}. */
export function readNight(text) {
  const said = words(text);
  if (said === OFF) return { on: false };
  const [, hour, minute, endHour, endMinute, max] = NIGHT.exec(said) ?? [];
  return max === undefined ? null : { on: true, from: clock(hour, minute), to: clock(endHour, endMinute), max: Number(max) };
}

export const writeNight = ({ on, from, to, max }) => (on ? `${from}-${to} max=${max}` : OFF);

/**
 * The parents' rules: {quiet: [[from, to]], daily, bonus, then, tonight}. Minutes; null: no such clause.
 * `then` is "fade" or "finish", `tonight` "free", "last" or [from, to].
 */
export function readRules(text) {
  const rules = { quiet: [], daily: null, bonus: null, then: null, tonight: null };
  const said = words(text);
  if (said === OFF) return rules;
  const seen = new Set();
  for (const clause of said.split(";")) {
    const [, name, value] = /^(\w+) (.+)$/.exec(clause.trim()) ?? [];
    const read = Object.hasOwn(CLAUSES, name) ? CLAUSES[name](value) : null;
    if (read === null || seen.has(name)) return null;
    seen.add(name);
    rules[name] = read;
  }
  return rules;
}

const CLAUSES = {
  quiet(text) {
    const periods = text.split(",").map(readPeriod);
    return periods.length > 4 || periods.includes(null) ? null : periods;
  },
  daily: (text) => count(text, 0, 1440),
  bonus: (text) => count(text, 0, 600),
  then: (text) => (text === "fade" || text === "finish" ? text : null),
  tonight: (text) => (text === "free" || text === "last" ? text : readPeriod(text)),
};

function readPeriod(text) {
  const [, hour, minute, endHour, endMinute] = PERIOD.exec(text.trim()) ?? [];
  return endMinute === undefined ? null : [clock(hour, minute), clock(endHour, endMinute)];
}

export function writeRules({ quiet, daily, bonus, then, tonight }) {
  const clauses = [
    quiet.length ? `quiet ${quiet.map((period) => period.join("-")).join(", ")}` : null,
    daily === null ? null : `daily ${daily}`,
    bonus === null ? null : `bonus ${bonus}`,
    then === null ? null : `then ${then}`,
    tonight === null ? null : `tonight ${Array.isArray(tonight) ? tonight.join("-") : tonight}`,
  ];
  return clauses.filter((clause) => clause !== null).join("; ") || OFF;
}
