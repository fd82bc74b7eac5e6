// Times, sizes and values as text, in the chosen language.

import { language, t } from "./i18n.js";

const locale = () => (language() === "zh" ? "zh-CN" : "en-GB");

export function dateTime(ms) {
  return new Date(ms).toLocaleString(locale(), { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** The zone that all times on the page are in, with its distance from UTC now: "Asia/Shanghai, UTC+8". */
export function zoneName(now = new Date()) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const offset = new Intl.DateTimeFormat("en", { timeZoneName: "longOffset" }).formatToParts(now)
    .find(({ type }) => type === "timeZoneName").value.replace(/^GMT(?:\+00:00)?/, "UTC");
  return zone === offset ? zone : `${zone}, ${offset}`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** "12 seconds ago"; null: never. */
export function ago(ms, now = Date.now()) {
  if (ms === null || ms === undefined) return t("never");
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 5) return t("justNow");
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "always", style: "short" });
  if (seconds < 60) return relative.format(-seconds, "second");
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86400) return relative.format(-Math.floor(seconds / 3600), "hour");
  return relative.format(-Math.floor(seconds / 86400), "day");
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1024 ** 2) return `${(size / 1024).toFixed(1)} kB`;
  if (size < 1024 ** 3) return `${(size / 1024 ** 2).toFixed(1)} MB`;
  return `${(size / 1024 ** 3).toFixed(1)} GB`;
}

/** Seconds as 1:23 or 1:02:03. */
export function duration(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
}

export function percent(part) {
  return `${Math.round((part ?? 0) * 100)}%`;
}

/** Any reported value as one line. */
export function value(anything) {
  return typeof anything === "string" ? anything : JSON.stringify(anything);
}
