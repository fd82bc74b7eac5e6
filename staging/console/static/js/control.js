// One data point of a device: its heading, its input, and the requests that read and set it.

import { post } from "./api.js";
import { h, uid } from "./dom.js";
import { errorText, t } from "./i18n.js";
import "./words/controls.js";

const QUEUE_LIMIT = 16;

/**
 * Make the control of `point`. `shape` makes its input: an object with
 *   body, output: elements, or null;
 *   show(value, ordered): shows the device's value, or with `ordered` the one that it has just accepted;
 *   latest: of several orders that wait, only the newest is sent;
 *   rereads: the value runs on by itself, and a report is only a sign that it changed, so it is read;
 *   fits(): whether the console knows the grammar of the last value;
 *   enabled(online): called after all inputs were switched on or off;
 *   unknown(): the device has told no value;
 *   reset(): forget what the user has not sent.
 * With `words`, a key of the console's texts, heading and hint are the console's own while the value fits;
 * with `bare` they are then for screen readers only, and readings are not told.
 */
export function makeControl(path, point, signal, shape, { words = null, bare = false } = {}) {
  const answer = h("p", { class: "answer soft", role: "status" });
  const own = point.label || point.name;
  const id = uid("point");
  const readable = point.method.includes("GET");
  const send = (content) => order("PUT", content);
  const read = () => { if (readable) order("GET"); };
  // Readings that the user did not ask for leave the answer to the last order where it is.
  const reread = () => { if (readable) order("GET", null, true); };
  const parts = shape({ point, label: words ? t(words) : own, id, put: send, reread });
  const heading = h("h3", { id });
  const head = h("div", {}, heading, parts.output);
  const hint = h("p", {});
  const element = h("div", { class: bare ? "control bare" : "control", role: "group", "aria-labelledby": id, data: { point: point.name } },
    head, hint, parts.body, answer);
  dress();

  function dress() {
    const ours = words !== null && (parts.fits?.() ?? true);
    heading.textContent = ours ? t(words) : own;
    hint.textContent = ours ? t(`${words}.hint`) : point.description;
    head.className = ours && bare ? "sr" : "control-head";
    hint.className = ours && bare ? "sr" : "small soft";
    hint.hidden = !hint.textContent;
  }

  function show(value, ordered) {
    if (!ordered) known = value;
    parts.show(value, ordered);
    dress();
  }

  // Requests are sent one after the other, because the network may reorder them. A value that the device
  // reports is newer than an answer that has not arrived yet.
  const queue = [];
  let working = false;
  let reports = 0;
  // The device's last value; null: it has told none.
  let known = null;

  async function order(method, content, quiet = bare && method === "GET") {
    const last = queue.at(-1);
    // Of the positions that a slider passed, only the newest is sent; one reading after all orders is enough.
    if (parts.latest && last?.[0] === "PUT" && method === "PUT") last[1] = content;
    else if (last?.[0] === "GET" && method === "GET") return;
    else if (queue.length < QUEUE_LIMIT) queue.push([method, content, quiet]);
    if (working) return;
    working = true;
    while (queue.length && !signal.aborted) await exchange(...queue.shift());
    working = false;
  }

  async function exchange(method, content, quiet) {
    const before = reports;
    let done = false;
    if (!quiet) showAnswer(t(method === "PUT" ? "sending" : "reading"), false);
    try {
      const body = { method, name: point.name, ...(method === "PUT" ? { content } : {}) };
      const reply = await post(`${path}/control`, body);
      if (signal.aborted) return;
      done = reply.code.startsWith("2.");
      if (!done) showAnswer(t("deviceSaid", { code: reply.code, text: reply.content }), true);
      else {
        if (!quiet) showAnswer(t("took", { code: reply.code, ms: reply.ms }), false);
        if (reports === before) show(method === "PUT" ? content : reply.content, method === "PUT");
      }
    } catch (error) {
      if (signal.aborted) return;
      showAnswer(errorText(error), true);
    }
    if (method === "PUT" && queue.length === 0) await readBack(done);
  }

  /**
   * Show the device's value, whether it accepted the new one or not, and whether it answered at all. If it cannot be read
   * and the order was not `done`, the last value that it told.
   */
  async function readBack(done) {
    const before = reports;
    let told = null;
    try {
      const reply = readable ? await post(`${path}/control`, { method: "GET", name: point.name }) : null;
      if (reply?.code.startsWith("2.")) told = reply.content;
    } catch { /* the order's answer has been shown, and says more */ }
    if (signal.aborted || reports !== before) return;
    if (told !== null) show(told, false);
    else if (done) return;
    else if (known !== null) show(known, false);
    else parts.unknown?.();
  }

  function showAnswer(text, bad) {
    answer.textContent = text;
    answer.className = `answer ${bad ? "bad" : "soft"}`;
  }

  return {
    name: point.name,
    element,
    send,
    read,
    /** A report; an `earlier` one may be older than the value that was read. */
    reported(value, online, earlier) {
      if (!earlier || !online) {
        reports += 1;
        show(value, false);
      }
      if (online && (earlier || parts.rereads)) reread();
    },
    /** Read again what changes by itself. */
    follow: () => { if (parts.rereads) reread(); },
    reset: () => parts.reset?.(),
    enable(online) {
      for (const part of element.querySelectorAll("button, input, select")) part.disabled = !online;
      parts.enabled?.(online);
    },
  };
}
