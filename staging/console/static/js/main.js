// The entry point: finds who is logged in, and shows the page of the URL.

import { checkSession, onSessionLost, session } from "./api.js";
import { h, put } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { empty, frame } from "./shell.js";

const ROUTES = [
  [/^\/console\/(?:devices)?$/, "devices", () => import("./devices.js")],
  [/^\/console\/devices\/([0-9a-f]{14})$/i, "devices", () => import("./device.js")],
  [/^\/console\/products$/, "products", () => import("./products.js")],
  [/^\/console\/products\/([0-9]{1,18})$/, "products", () => import("./product.js")],
  [/^\/console\/apps$/, "apps", () => import("./apps.js")],
  [/^\/console\/versions$/, "versions", () => import("./versions.js")],
  [/^\/console\/strategies$/, "strategies", () => import("./strategies.js")],
  [/^\/console\/accounts$/, "accounts", () => import("./accounts.js")],
  [/^\/console\/audit$/, "audit", () => import("./audit.js")],
];
// Pages with a stream learn from it that the session has ended; the others ask.
const WITH_STREAM = new Set(["devices", "versions"]);
const CHECK_MS = 2500;
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
  const left = () => { user = null; return navigate("/console/"); };
  const context = { navigate, render, left, signal: leaving.signal };
  if (user === null) {
    const { show } = await import("./login.js");
    if (mine === shown) show(root, { ...context, entered: (who) => { user = who; render({ focus: true }); } });
    return;
  }
  const [match, tab, load] = find(location.pathname);
  shownTab = tab;
  const { root: outer, main } = frame(user, tab, context);
  put(root, outer);
  document.title = `${t(tab ?? "notFound")} · ${t("brand")}`;
  try {
    if (load === null) put(main, h("h1", { tabindex: "-1" }, t("notFound")));
    else {
      const { show } = await load();
      if (mine === shown) await show(main, { ...context, match, user });
    }
  } catch (error) {
    if (mine !== shown) return;
    put(main, h("h1", { tabindex: "-1" }, t(tab ?? "notFound")), empty(errorText(error), ""),
      h("div", { class: "empty" }, h("button", { type: "button", on: { click: () => render({ focus: true }) } }, t("retry"))));
  }
  if (focus && mine === shown) main.querySelector("h1")?.focus();
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
onSessionLost(async () => {
  if (user === null) return;
  user = null;
  await session();
  render();
});

setInterval(() => { if (user !== null && !document.hidden && !WITH_STREAM.has(shownTab)) checkSession(); }, CHECK_MS);

user = await session();
render();
