// The same step for many devices: selected, previewed, done, and what came of it.

import { download, get, post } from "./api.js";
import { asked } from "./address.js";
import { announce, field, h, put, set, uid } from "./dom.js";
import { errorText, refusalText, t } from "./i18n.js";
import { saveFile } from "./profile.js";

const POLL_MS = 500;
const ACTIONS = { operator: ["tag", "untag", "bind", "verify", "order", "cancel", "labels"], tester: ["tag", "untag", "verify", "order", "cancel"] };

/**
 * The selection of the list and what can be done with it. `page()` returns the devices of the page, `total()` how many match,
 * `redraw()` draws the list after the selection changed.
 */
export function bulkBar({ user, signal, page, total, redraw }) {
  const picked = new Set();
  let everything = false;
  const element = h("div", { class: "card row bulk", hidden: true, data: { part: "bulk" } });
  const selectAll = h("span", { class: "row" });
  const what = h("select", { name: "action", "aria-label": t("bulk.what"), on: { change: options } }, ACTIONS[user.role].map((name) => h("option", { value: name }, t(`bulk.${name}`))));
  const more = h("div", { class: "grow" });
  const go = h("button", { type: "button", class: "primary", data: { role: "preview" }, on: { click: preview } }, t("bulk.preview"));

  function clear() {
    picked.clear();
    everything = false;
    draw();
  }

  function drop(uuid) {
    picked.delete(uuid);
  }

  function toggle(uuid, on) {
    everything = false;
    if (on) picked.add(uuid);
    else picked.delete(uuid);
    draw();
  }

  function box(device) {
    return h("input", { type: "checkbox", class: "pick", checked: everything || picked.has(device.uuid), "aria-label": t("pick", { name: device.name || device.uuid }), on: { change: (event) => toggle(device.uuid, event.target.checked) } });
  }

  function pageBox() {
    const shown = page();
    const all = shown.length > 0 && shown.every((device) => picked.has(device.uuid));
    const change = (event) => {
      everything = false;
      for (const device of shown) picked[event.target.checked ? "add" : "delete"](device.uuid);
      redraw();
    };
    return h("input", { type: "checkbox", class: "pick", checked: everything || all, "aria-label": t("pickPage"), data: { role: "pick-page" }, on: { change } });
  }

  function draw() {
    const count = everything ? total() : picked.size;
    const every = h("button", { type: "button", class: "quiet", data: { role: "pick-all" }, on: { click: () => { everything = true; redraw(); } } }, t("pickAll", { n: total() }));
    const none = h("button", { type: "button", class: "quiet", on: { click: () => { clear(); redraw(); } } }, t("pickNone"));
    put(selectAll, count ? [h("span", { class: "small" }, t(everything ? "pickedAll" : "picked", { n: count })), !everything && total() > picked.size ? every : null, none] : null);
    const wasHidden = element.hidden;
    element.hidden = count === 0;
    if (wasHidden && count) { put(element, what, more, go); options(); }
  }

  async function options() {
    put(more);
    go.textContent = t(what.value === "labels" ? "bulk.saveLabels" : "bulk.preview");
    if (what.value === "labels") put(more, h("p", { class: "small soft" }, t("bulk.labelsHint")));
    if (what.value === "tag" || what.value === "untag") {
      const input = h("input", { name: "tags", maxlength: 255, autocomplete: "off" });
      put(more, field(t("bulk.tags"), (attributes) => set(input, attributes)));
    } else if (what.value === "verify") {
      try {
        const { versions } = await get("/versions");
        const waiting = versions.filter((version) => version.status === "UNVERIFIED");
        const select = h("select", { name: "package" }, waiting.map((version) => h("option", { value: version.id }, `${version.product} ${version.version}`)));
        if (what.value === "verify") put(more, waiting.length ? field(t("bulk.package"), (attributes) => set(select, attributes)) : h("p", { class: "soft" }, t("bulk.noPackage")));
      } catch (error) {
        announce(errorText(error));
      }
    }
  }

  const chosen = () => (everything ? { query: asked().toString() } : { uuids: [...picked] });

  function step() {
    const tags = (more.querySelector("[name=tags]")?.value ?? "").split(/[,，;；]/).map((text) => text.trim()).filter(Boolean);
    const version = more.querySelector("[name=package]")?.value;
    const who = chosen();
    if (what.value === "tag") return { action: "tag", add: tags, ...who };
    if (what.value === "untag") return { action: "tag", remove: tags, ...who };
    return { action: what.value, ...(version ? { packageId: Number(version) } : {}), ...who };
  }

  async function labels() {
    let leftOut = 0;
    const blob = await download("/bulk/labels", chosen(), (headers) => { leftOut = Number(headers.get("X-Story-Left-Out")); });
    saveFile(blob, "labels.pdf");
    announce(t(leftOut ? "bulk.labelsSome" : "bulk.labelsSaved", { n: leftOut }));
  }

  async function preview() {
    go.disabled = true;
    const name = t(`bulk.${what.value}`);
    try {
      if (what.value === "labels") {
        await labels();
        return;
      }
      const found = await post("/bulk/preview", step());
      if (!signal.aborted) dialog(name, found, signal);
    } catch (error) {
      announce(errorText(error));
    } finally {
      go.disabled = false;
    }
  }

  return { element, selectAll, box, pageBox, draw, drop, clear };
}

/** What a step would do; then, once it is confirmed, how far it is and what came of it. */
function dialog(name, found, signal) {
  const titleId = uid("dialog");
  const body = h("div", { class: "stack" });
  const buttons = h("div", { class: "row" });
  const close = h("button", { type: "button", on: { click: () => shown.close() } }, t("bulk.close"));
  const act = h("button", { type: "button", class: "primary", disabled: found.ready === 0, data: { role: "act" }, on: { click: begin } }, t("bulk.act", { n: found.ready }));
  const shown = h("dialog", { "aria-labelledby": titleId, data: { part: "preview" } },
    h("h2", { id: titleId }, t("bulk.title", { action: name, n: found.total })), body, buttons);
  put(body, h("p", {}, t("bulk.ready", found)), found.leftOut.length ? [h("h3", {}, t("bulk.leftOut")), reasons(found.leftOut)] : null);
  put(buttons, close, act);
  shown.addEventListener("close", () => shown.remove());
  signal.addEventListener("abort", () => shown.close());
  document.body.append(shown);
  shown.showModal();

  async function begin() {
    act.remove();
    const bar = h("progress", { max: Math.max(found.ready, 1), value: 0, "aria-label": name });
    const text = h("p", { role: "status" });
    put(body, text, bar);
    try {
      let job = await post("/bulk", { preview: found.preview });
      while (!job.ended && shown.isConnected && !signal.aborted) {
        text.textContent = t("bulk.running", job);
        bar.value = job.done + job.failures;
        await new Promise((done) => setTimeout(done, POLL_MS));
        job = await get(`/bulk/${job.job}`);
      }
      put(body, outcome(job));
    } catch (error) {
      put(body, h("p", { class: "bad", role: "alert" }, t("bulk.lost", { message: errorText(error) })), h("p", {}, t("bulk.again")));
    }
  }
}

function outcome(job) {
  return [
    h("p", { role: "status", data: { role: "ended" } }, t("bulk.ended", job)),
    job.problem ? h("p", { class: "bad" }, refusalText(job.problem), " ", t("bulk.again")) : null,
    job.changed.length ? [h("h3", {}, t("bulk.changed")), reasons(job.changed)] : null,
    job.appeared ? h("p", {}, t("bulk.appeared", { n: job.appeared })) : null,
    job.failures ? [h("h3", {}, t("bulk.failures", { n: job.failures })),
      h("ul", { class: "log lines" }, job.failed.map(({ uuid, reason }) => h("li", {}, h("a", { href: `/console/devices/${uuid}`, class: "mono" }, uuid), " ", refusalText(reason))))] : null,
  ];
}

function reasons(several) {
  return h("ul", { class: "stack tight" }, several.map(({ why, count, uuids }) => h("li", { data: { why } }, t("bulk.why", { n: count, why: t(`why.${why}`) }),
    uuids?.length ? h("span", { class: "mono small soft" }, " ", t("bulk.such", { uuids: uuids.join(" ") })) : null)));
}
