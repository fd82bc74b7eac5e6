// The advisor: a device's runs as they go, check by check, and its reports, shown, downloaded and compared.

import { BASE, get, post } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { dateTime, duration } from "./format.js";
import { errorText, language, refusalText, t } from "./i18n.js";
import { pageHead, title } from "./shell.js";
import "./words/advisor.js";

const LOOK_MS = 1000;
const TONES = { pass: "good", warn: "warn", fail: "bad", "not applicable": "" };
const FORMS = ["report.html", "report.json", "junit.xml"];

export async function show(main, { match, signal }) {
  const uuid = match[1].toLowerCase();
  const path = `/devices/${uuid}/advice`;
  let state = await get(path);
  if (signal.aborted) return;
  const run = runCard(path, take, signal);
  const begin = beginForm(path, state.suites, take);
  const report = h("div", {});
  const reports = reportsCard(path, report, signal);
  let timer = 0;

  title(t("advisor"), uuid);
  put(main, h("a", { class: "crumb", href: `/console/devices/${uuid}` }, t("advisorBack")),
    pageHead(t("advisor"), t("advisorLead")),
    h("div", { class: "stack wide" }, begin.element, run.element, reports.element, report));
  draw();
  signal.addEventListener("abort", () => clearTimeout(timer));

  function take(found) {
    if (signal.aborted) return;
    state = found;
    draw();
  }

  function draw() {
    clearTimeout(timer);
    const busy = state.run !== null && !state.run.ended;
    begin.update(busy);
    run.update(state.run);
    reports.update(state.reports);
    if (busy) timer = setTimeout(look, LOOK_MS);
  }

  async function look() {
    try {
      take(await get(path));
    } catch (error) {
      if (signal.aborted) return;
      announce(errorText(error));
      timer = setTimeout(look, 3 * LOOK_MS);
    }
  }
}

function beginForm(path, suites, take) {
  const suite = h("select", { name: "suite" }, suites.map((name) => h("option", { value: name }, suiteName(name))));
  const seed = h("input", { name: "seed", type: "number", min: "1", max: "2147483647", step: "1", inputmode: "numeric" });
  const button = h("button", { class: "primary", type: "submit", data: { role: "advise" } }, t("adviseBegin"));
  const problem = h("p", { class: "bad", role: "alert" });
  const element = h("form", { class: "card stack", on: { submit } }, h("h2", {}, t("adviseNew")),
    field(t("adviseSuite"), (attributes) => set(suite, attributes), t("adviseHint")),
    field(t("adviseSeed"), (attributes) => set(seed, attributes), t("adviseSeedHint")), problem, h("div", {}, button));

  async function submit(event) {
    event.preventDefault();
    problem.textContent = "";
    button.disabled = true;
    try {
      take(await post(path, { suite: suite.value, seed: seed.value === "" ? null : Number(seed.value) }));
    } catch (error) {
      problem.textContent = errorText(error);
      button.disabled = false;
    }
  }
  return { element, update: (busy) => { button.disabled = busy; } };
}

/** The run that is under way, or the last one; what a check found is added as it comes. */
function runCard(path, take, signal) {
  const says = h("p", { role: "status" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": t("advisor") });
  const list = h("ol", { class: "plain stack tight", data: { role: "results" } });
  const end = h("button", { type: "button", data: { role: "advise-cancel" }, on: { click: cancel } }, t("adviseCancel"));
  const element = h("section", { class: "card stack", hidden: true, data: { part: "run" } },
    h("div", { class: "card-head" }, h("h2", {}, t("adviseRun")), end), says, bar, list);
  let drawn = 0;

  function update(run) {
    element.hidden = run === null;
    if (run === null) return;
    if (run.startedMs !== drawn) put(list);
    drawn = run.startedMs;
    list.append(...run.results.slice(list.children.length).map(resultLine));
    bar.max = run.total || 1;
    bar.value = run.ended ? bar.max : Math.max(0, run.number - 1);
    end.hidden = run.ended;
    says.classList.toggle("bad", Boolean(run.ended && run.problem && !run.cancelled));
    const told = said(run);
    if (says.textContent !== told) says.textContent = told;
  }

  async function cancel() {
    end.disabled = true;
    try {
      take(await post(`${path}/cancel`));
      announce(t("adviseCancelled"));
    } catch (error) {
      if (!signal.aborted) announce(errorText(error));
    } finally {
      end.disabled = false;
    }
  }
  return { element, update };
}

function said(run) {
  const named = { suite: suiteName(run.suite), who: run.who, at: dateTime(run.startedMs) };
  if (!run.ended) {
    const place = run.says ? t("adviseAt", { number: run.number, total: run.total, says: run.says[language()] }) : t("adviseWaits");
    return `${t("adviseOf", named)} · ${place}`;
  }
  const end = run.cancelled ? t("adviseCancelled") : run.problem ? refusalText(run.problem) : t("adviseDone", { tally: tally(count(run.results)) });
  return `${t("adviseOf", named)} · ${end}`;
}

function count(results) {
  const counts = {};
  for (const { verdict } of results) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}

function tally(counts) {
  return Object.keys(TONES).map((verdict) => `${counts[verdict] ?? 0} ${verdictName(verdict)}`).join(" · ");
}

/** A verdict in the reader's language; a report may lack a check. */
function verdictName(verdict) {
  return verdict ? t(`verdict.${verdict === "not applicable" ? "inapplicable" : verdict}`) : t("none");
}

const chip = (verdict) => h("span", { class: `chip ${TONES[verdict]}` }, verdictName(verdict));

function resultLine({ id, title: called, verdict, seen, asks, change }) {
  const wrong = ["warn", "fail"].includes(verdict);
  return h("li", { class: "note stack tight", data: { check: id, verdict } },
    h("div", { class: "row" }, chip(verdict), h("strong", {}, called[language()]), h("span", { class: "small soft mono" }, id)),
    h("span", {}, seen[language()]),
    asks ? h("span", { class: "small soft" }, t("adviseAsks", { asks })) : null,
    wrong && change ? h("span", {}, t("adviseChange", { change: change[language()] })) : null);
}

function reportsCard(path, place, signal) {
  const body = h("tbody", {});
  const nothing = h("p", { class: "soft" }, t("reportsNone"));
  const head = ["when", "suite", "firmware", "found", "files"].map((name) => h("th", { scope: "col" }, t(`reportsKept.${name}`)));
  const table = h("div", { class: "wide-table", tabindex: "0", role: "group", "aria-label": t("reportsKept") },
    h("table", { class: "list" }, h("thead", {}, h("tr", {}, head)), body));
  const before = h("select", { name: "before" });
  const after = h("select", { name: "after" });
  const changes = h("div", { data: { role: "changes" }, role: "status" });
  const compare = h("form", { class: "stack", on: { submit } }, h("h3", {}, t("compare")),
    h("div", { class: "filters row" },
      field(t("compareBefore"), (attributes) => set(before, attributes)), field(t("compareAfter"), (attributes) => set(after, attributes))),
    h("div", {}, h("button", { type: "submit", data: { role: "compare" } }, t("compareDo"))), changes);
  const element = h("section", { class: "card stack", data: { part: "reports" } }, h("h2", {}, t("reportsKept")), nothing, table, compare);
  let drawn = "";

  function update(reports) {
    const now = JSON.stringify(reports);
    if (now === drawn) return;
    drawn = now;
    nothing.hidden = reports.length > 0;
    table.hidden = !reports.length;
    compare.hidden = reports.length < 2;
    put(body, reports.map((each) => row(each)));
    for (const [select, place] of [[before, 1], [after, 0]]) {
      put(select, reports.map((each) => h("option", { value: each.id }, named(each))));
      select.selectedIndex = Math.min(place, reports.length - 1);
    }
  }

  function row(each) {
    const open = h("button", { class: "quiet", type: "button", data: { report: each.id }, on: { click: () => shown(each) } }, dateTime(each.id));
    return h("tr", {},
      h("td", {}, open), h("td", {}, suiteName(each.suite)), h("td", {}, each.firmware || t("unknown")), h("td", {}, tally(each.counts)),
      h("td", {}, h("div", { class: "row" }, FORMS.map((form) => h("a", {
        href: `${BASE}${path}/${each.id}/${form}`, download: "", "aria-label": t("reportSave", { form, at: dateTime(each.id) }),
      }, form)))));
  }

  async function shown(each) {
    try {
      const made = await get(`${path}/${each.id}`);
      if (signal.aborted) return;
      put(place, reportCard(made));
      place.querySelector("h2").focus();
    } catch (error) {
      if (!signal.aborted) announce(errorText(error));
    }
  }

  async function submit(event) {
    event.preventDefault();
    try {
      const found = await get(`${path}/compare?before=${before.value}&after=${after.value}`);
      if (!signal.aborted) put(changes, changeList(found.changes));
    } catch (error) {
      if (!signal.aborted) put(changes, h("p", { class: "bad" }, errorText(error)));
    }
  }
  return { element, update };
}

const named = (each) => `${dateTime(each.id)} · ${suiteName(each.suite)} · ${each.firmware || t("unknown")}`;

function changeList(changes) {
  if (!changes.length) return h("p", {}, t("compareSame"));
  return h("ul", { class: "plain stack tight" }, changes.map(({ id, kind, before, after, title: called }) =>
    h("li", { class: "row", data: { change: id, kind } },
      h("span", { class: `chip ${{ broke: "bad", mended: "good" }[kind] ?? ""}` }, t(`change.${kind}`)),
      h("strong", {}, called?.[language()] ?? id), h("span", { class: "small soft mono" }, id),
      h("span", {}, `${verdictName(before)} → ${verdictName(after)}`))));
}

function reportCard(made) {
  const { device } = made;
  const facts = [device.firmware || t("unknown"), device.link, suiteName(made.suite), t("reportSeed", { seed: made.seed }), duration(made.seconds)];
  return h("section", { class: "card stack", data: { part: "report" } },
    h("h2", { tabindex: "-1" }, t("reportOf", { at: dateTime(made.startedMs) })),
    h("p", { class: "soft" }, facts.join(" · ")), h("p", {}, tally(made.counts)),
    h("p", { class: made.signedBy ? "" : "bad", data: { role: "signature" } }, made.signedBy ? t("reportSigned", { who: made.signedBy }) : t("reportUnsigned", { why: refusalText(made.unsigned) })),
    grouped(made.checks).map(([suite, checks]) => [h("h3", {}, suiteName(suite)), h("ol", { class: "plain stack tight" }, checks.map(resultLine))]));
}

function grouped(checks) {
  const groups = new Map();
  for (const each of checks) groups.set(each.suite, [...(groups.get(each.suite) ?? []), each]);
  return [...groups];
}

function suiteName(name) {
  const key = `suite.${name}`;
  const called = t(key);
  return called === key ? name : called;
}
