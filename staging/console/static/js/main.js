// The entry point: finds who is logged in, and shows the page of the URL.

import { checkSession, onSession, session, unreachable } from "./api.js";
import { h, put } from "./dom.js";
import { askToLogIn, foundSession, tellTabs } from "./entry.js";
import { errorText, t } from "./i18n.js";
import { empty, frame, title } from "./shell.js";

const ROUTES = [
  [/^\/console\/(?:devices)?$/, "devices", () => import("./devices.js")],
  [/^\/console\/devices\/([0-9a-f]{14})$/i, "devices", () => import("./device.js")],
  [/^\/console\/devices\/([0-9a-f]{14})\/advisor$/i, "devices", () => import("./advisor.js")],
  [/^\/console\/dashboard$/, "dashboard", () => import("./dashboard.js")],
  [/^\/console\/webhooks$/, "dashboard", () => import("./webhooks.js")],
  [/^\/console\/products$/, "products", () => import("./products.js")],
  [/^\/console\/products\/([0-9]{1,18})$/, "products", () => import("./product.js")],
  [/^\/console\/apps$/, "apps", () => import("./apps.js")],
  [/^\/console\/versions$/, "versions", () => import("./versions.js")],
  [/^\/console\/strategies$/, "strategies", () => import("./strategies.js")],
  [/^\/console\/strategies\/([0-9]{1,18})$/, "strategies", () => import("./rollout.js")],
  [/^\/console\/accounts$/, "accounts", () => import("./accounts.js")],
  [/^\/console\/audit$/, "audit", () => import("./audit.js")],
  [/^\/console\/explorer$/, "explorer", () => import("./explorer.js")],
  [/^\/console\/me$/, "me", () => import("./me.js")],
];
// Pages with a stream learn from it that the session has ended; the others ask.
const WITH_STREAM = new Set(["devices", "versions"]);
const CHECK_MS = 2500;
// Milliseconds after which a page that has nothing to show yet says so.
const SLOW_MS = 400;
const root = document.getElementById("app");
let user = null;
let shownTab = null;
let leaving = new AbortController();
let shown = 0;

/** Navigate to a page of the console. */
function navigate(path) {
  history.pushState(null, "", path);
  return render({ focus: true });
}

async function render({ focus = false } = {}) {
  leaving.abort();
  leaving = new AbortController();
  shown += 1;
  const mine = shown;
  const context = { navigate, render, left, signal: leaving.signal };
  if (user === null) {
    await logIn(mine, context);
    return;
  }
  const [match, tab, load] = find(location.pathname);
  shownTab = tab;
  const { root: outer, main } = frame(user, tab, context);
  put(root, outer);
  title(t(tab ?? "notFound"));
  const slow = setTimeout(() => {
    if (mine === shown && main.firstChild === null) put(main, h("p", { class: "soft", role: "status" }, t("loading")));
  }, SLOW_MS);
  try {
    if (load === null) put(main, h("h1", { tabindex: "-1" }, t("notFound")));
    else {
      const { show } = await loaded(load);
      if (mine === shown) await show(main, { ...context, match, user });
    }
  } catch (error) {
    if (mine === shown) showFailure(main, tab, error);
  } finally {
    clearTimeout(slow);
  }
  if (focus && mine === shown) main.querySelector("h1")?.focus();
}

async function logIn(mine, context) {
  const { show } = await import("./login.js");
  if (mine === shown) show(root, { ...context, entered: (who) => { enter(who); tellTabs(); } });
}

function enter(who) {
  user = who;
  // An operator begins with what is wrong; a tester with the devices.
  if (user.role === "operator" && location.pathname === "/console/") history.replaceState(null, "", "/console/dashboard");
  return render({ focus: true });
}

function left() {
  user = null;
  tellTabs();
  return navigate("/console/");
}

/** Load a page's module; one that does not come is the network's or the cloud's fault. */
async function loaded(load) {
  try {
    return await load();
  } catch (error) {
    // A browser may keep that a module did not come, so that only a new document asks for it anew.
    throw Object.assign(unreachable(), { cause: error, reload: true });
  }
}

function showFailure(main, tab, error) {
  const again = async () => {
    if (error.reload && await answers()) location.reload();
    else render({ focus: true });
  };
  put(main, h("h1", { tabindex: "-1" }, t(tab ?? "notFound")), empty(errorText(error), error.code === "network" ? t("networkHint") : ""),
    h("div", { class: "empty" }, h("button", { type: "button", data: { role: "retry" }, on: { click: again } }, t("retry"))));
}

async function answers() {
  try {
    await session();
    return true;
  } catch {
    return false;
  }
}

function find(path) {
  for (const [pattern, tab, load] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return [match, tab, load];
  }
  return [null, null, null];
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/console/']");
  if (!link || link.hasAttribute("download") || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  navigate(link.getAttribute("href"));
});
addEventListener("popstate", () => render({ focus: true }));
onSession({
  lost() {
    if (user !== null) askToLogIn(user.name, back);
  },
  found(who) {
    if (foundSession(who)) return;
    if (user === null || user.name !== who.name || user.role !== who.role) enter(who);
  },
});

/** Somebody has logged in over the page: it stays for the same user, and is drawn anew for another. */
function back(who) {
  if (user !== null && user.name === who.name && user.role === who.role) return;
  enter(who);
}

setInterval(() => { if (user !== null && !document.hidden && !WITH_STREAM.has(shownTab)) checkSession(); }, CHECK_MS);

try {
  user = await session();
} catch (error) {
  // The document came and the cloud does not answer: a restart, or a proxy in between.
  put(root, h("main", {}, h("h1", {}, t("brand")), empty(errorText(error), t("networkHint")),
    h("div", { class: "empty" }, h("button", { type: "button", data: { role: "retry" }, on: { click: () => location.reload() } }, t("retry")))));
  throw error;
}
render();
