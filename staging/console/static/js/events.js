// What a device reports of an update and of an utterance, in words: the events of its log, why it failed, and the stages.

import { percent, value } from "./format.js";
import { language, t } from "./i18n.js";
import { WORDS } from "./words/book.js";
import "./words/events.js";
import "./words/speech.js";

const TAKEN = "[Success] ";
const REFUSED = "[Failed] ";

/** One line of an update's log: `event` is null for the device's answer to the order; `text` is what it says of it. */
export function eventText({ event, percent: part, text }) {
  if (event === null) {
    if (text.startsWith(TAKEN)) return t("orderTaken");
    return text.startsWith(REFUSED) ? t("orderRefused", { text: text.slice(REFUSED.length) }) : text;
  }
  return [eventName(event), part === null ? null : percent(part), text].filter(Boolean).join(" · ");
}

/** An event's name; a number that no firmware of ours uses stays a number. */
function eventName(event) {
  const key = `event.${event}`;
  return key in WORDS ? t(key) : t("event.other", { n: event });
}

/**
 * Why an update failed: for who reads English what device or cloud say, for others also what that means.
 * `event` is the last one of its log, or undefined.
 */
export function failureText(failure, event) {
  const bare = /^event (\d+): /.exec(failure);
  if (bare) return eventName(Number(bare[1]));
  if (language() === "en") return failure;
  const meaning = failure.startsWith("cancelled: ") ? t("failed.cancelled")
    : failure.startsWith("the device refused the order: ") ? t("failed.refused")
      : event === undefined || event === null ? null : eventName(event);
  return meaning ? `${meaning}（${failure}）` : failure;
}

/** A report that is an object, in words; null for what has none. */
export function reportedText(key, told) {
  if (key === "utterance_times" && told?.seconds) return timesText(told);
  if (key === "device_trouble" && told?.text) return t("trouble", { text: told.text });
  if (key === "ota_log" && Array.isArray(told?.lines)) return t("trialSaid", { version: told.version ?? "", n: told.lines.length, last: told.lines.at(-1) ?? "" });
  if (key !== "ota_event" || !Number.isInteger(told?.event)) return null;
  return eventText({ event: told.event, percent: told.percent ?? null, text: told.description ?? "" });
}

/** Any value as one line: of an object its members, without the signs of JSON. */
export function membersText(anything) {
  const members = anything !== null && typeof anything === "object" && !Array.isArray(anything);
  return members ? Object.entries(anything).map(([name, one]) => `${name}: ${value(one)}`).join(" · ") : value(anything);
}

/** How one utterance went: its stages with their times, which the page of its recording shows as a bar. */
function timesText({ id, end, seconds }) {
  const stages = Object.entries(seconds).filter(([name]) => `stage.${name}` in WORDS).sort(([, one], [, other]) => one - other).map(([name, after]) => `${t(`stage.${name}`)} ${after.toFixed(1)} s`);
  const what = id === 0 ? t("voiceFault") : t(end === "lost" ? "voiceLost" : "voiceTimes", { id });
  return [what, ...stages].join(" · ");
}
