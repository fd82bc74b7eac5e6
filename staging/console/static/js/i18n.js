// Two languages; the browser stores the choice.

import { inChinese } from "./refusals.js";
import { WORDS } from "./words/book.js";
import "./words/common.js";
import "./words/errors.js";

const KEY = "story-console-language";
const CODES = { zh: "zh-CN", en: "en" };
let current = stored() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
document.documentElement.lang = CODES[current];

function stored() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept in CODES ? kept : null;
  } catch {
    return null;  // storage may be forbidden; then the browser's language is used
  }
}

export const language = () => current;

export function choose(language) {
  current = language;
  document.documentElement.lang = CODES[language];
  try {
    localStorage.setItem(KEY, language);
  } catch { /* not remembered, but chosen */ }
}

/** Return the text of a key; `{name}` in it is replaced by the value of that name. */
export function t(key, values = {}) {
  const words = WORDS[key]?.[current === "zh" ? 0 : 1] ?? key;
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Return an error's text: that of its code if it has one, otherwise the cloud's or the device's message. */
export function errorText(error) {
  // Of the page itself: an answer in another form than it knows, as of a cloud that is newer than the page.
  if (error instanceof TypeError || error instanceof ReferenceError) return t("error.page", { detail: error.message });
  const key = `error.${error.code}`;
  // A package's detail is in the words of the release tool, which are the cloud's.
  if (key in WORDS) return t(key, error.values?.detail ? { ...error.values, detail: refusalText(error.values.detail) } : error.values);
  return refusalText(error.message);
}

/** Return the cloud's words for a refusal in the page's language, where it is known in that. */
export function refusalText(message) {
  return current === "zh" ? inChinese(message) : message;
}
