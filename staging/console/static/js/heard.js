// The sentences that a device heard, how they were understood and what the device did; and a box to type one.

import { get, post } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { dateTime } from "./format.js";
import { errorText, t } from "./i18n.js";
import { empty } from "./shell.js";
import { throttle } from "./throttle.js";
import "./words/heard.js";

const SENTENCE_LIMIT = 500;

/** The card; call `changed` when the stream reports a new outcome. */
export function heardCard(path, signal) {
  const list = h("ol", { class: "outcomes", tabindex: "0", "aria-label": t("heard"), hidden: true });
  const notice = h("div", {});
  const more = h("button", { type: "button", class: "quiet", hidden: true, on: { click: () => load(next) } }, t("older"));
  const typing = sayForm(path, signal, () => load(null));
  typing.hidden = true;
  const element = h("section", { class: "card stack", data: { part: "heard" } }, h("h2", {}, t("heard")), typing, notice, list, more);
  let next = null;
  let loading = false;
  let again = false;

  async function load(before) {
    // While a list is being fetched, any number of requests for the newest become one fetch after it.
    if (loading) {
      again = true;
      return;
    }
    loading = true;
    try {
      const page = await get(`${path}/outcomes${before ? `?before=${before}` : ""}`);
      if (!signal.aborted) draw(page, before !== null);
    } catch (error) {
      if (!signal.aborted) announce(errorText(error));
    }
    loading = false;
    if (again && !signal.aborted) {
      again = false;
      load(null);
    }
  }

  function draw({ recognises, outcomes, next: following }, older) {
    typing.hidden = !recognises;
    next = following;
    more.hidden = next === null;
    const lines = outcomes.map(makeLine);
    if (older) list.append(...lines);
    else put(list, lines);
    list.hidden = !list.children.length;
    if (!recognises) put(notice, h("p", { class: "note" }, t("noRecognition")));
    else put(notice, list.hidden ? empty(t("noHeard"), t("noHeardHint")) : null);
  }

  load(null);
  return { element, changed: throttle(() => load(null), signal) };
}

function sayForm(path, signal, done) {
  const input = h("input", { name: "sentence", maxlength: SENTENCE_LIMIT, required: true, autocomplete: "off" });
  const button = h("button", { type: "submit", class: "primary" }, t("saySentence"));
  const answer = h("p", { class: "answer small soft", role: "status" });
  const showNotice = (text, bad) => {
    answer.textContent = text;
    answer.className = `answer small ${bad ? "bad" : "soft"}`;
  };

  async function submit(event) {
    event.preventDefault();
    const text = input.value.trim();
    if (!text || button.disabled) return;
    button.disabled = true;
    showNotice(t("sending"), false);
    try {
      const outcome = await post(`${path}/say`, { text });
      if (signal.aborted) return;
      showNotice(outcome.done ? t("sentenceDone") : [why(outcome), detail(outcome)].filter(Boolean).join(" "), !outcome.done);
      if (input.value.trim() === text) input.value = "";
      done();
    } catch (error) {
      if (!signal.aborted) showNotice(errorText(error), true);
    } finally {
      button.disabled = false;
    }
  }

  return h("form", { class: "stack tight", on: { submit } },
    field(t("typeSentence"), (attributes) => {
      set(input, attributes);
      return h("div", { class: "row" }, h("div", { class: "grow" }, input), button);
    }, t("typeSentenceHint")), answer);
}

function makeLine(outcome) {
  return h("li", { data: { outcome: outcome.id } },
    h("div", { class: "row between" },
      h("strong", { class: "grow" }, outcome.text ?? t("nothingHeard")),
      h("span", { class: `chip ${outcome.done ? "good" : "bad"}` }, t(`kind.${outcome.kind}`))),
    h("p", { class: "small soft" }, `${t(`source.${outcome.source}`)} · `, h("time", { datetime: new Date(outcome.time).toISOString() }, dateTime(outcome.time))),
    outcome.intent ? h("p", { data: { role: "intent" } }, intentText(outcome.intent)) : null,
    outcome.steps.length ? h("ul", { class: "mono" }, outcome.steps.map((step) => h("li", {}, stepText(step)))) : null,
    outcome.error ? h("p", { class: "bad", data: { role: "why" } }, why(outcome)) : null,
    detail(outcome) ? h("p", { class: "small soft", lang: "en" }, detail(outcome)) : null,
    outcome.nearest.length ? h("p", { class: "small" }, t("nearestTitles", { titles: outcome.nearest.join(" · ") })) : null);
}

/** What happened and what helps, in the reader's language. */
function why({ kind }) {
  return t(`why.${kind}`);
}

/** What the cloud or the device says of it, in English; `why` has said it where it is no more than that. */
function detail({ error, kind }) {
  return kind === "not_understood" ? null : error;
}

function intentText({ action, title, amount, percent, timer }) {
  return t(`intent.${action}`, { title, timer, amount: percent ? `${amount}%` : amount });
}

function stepText({ method, name, content, code, answer }) {
  const sent = [method, name, content].filter(Boolean).join(" ");
  return `${sent} → ${[code, answer].filter(Boolean).join(" ")}`;
}
