// The frame around every page: the user, the tabs, the theme and the language; and the page's title.

import { logOut } from "./api.js";
import { announce, h, icon, mark, put } from "./dom.js";
import { zoneName } from "./format.js";
import { choose, errorText, language, t } from "./i18n.js";

// What each role has; the cloud refuses the rest too.
const TABS = {
  tester: ["devices", "versions"],
  operator: ["dashboard", "devices", "products", "apps", "versions", "strategies", "accounts", "audit", "explorer"],
};

/** Make the frame; returns it and the element that pages go into. */
export function frame(user, tab, { left, render }) {
  const main = h("main", { id: "main", tabindex: "-1" });
  const skip = h("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main.focus(); } } }, t("skip"));
  const header = h("header", { class: "top" }, h("div", { class: "top-in" },
    h("a", { class: "brand", href: "/console/devices" }, mark(), t("brand")),
    h("nav", { class: "tabs", "aria-label": t("nav") },
      TABS[user.role].map((name) => h("a", { href: `/console/${name}`, "aria-current": name === tab ? "page" : null }, t(name)))),
    h("div", { class: "me" },
      h("a", { class: "who small", href: "/console/me", "aria-label": t("meNamed", { name: user.name, role: t(`role.${user.role}`) }), "aria-current": tab === "me" ? "page" : null },
        icon("me"), h("span", { class: "name" }, user.name), h("span", { class: "chip plain" }, t(`role.${user.role}`))),
      themeButton(),
      languageButton(render),
      h("button", { class: "quiet", type: "button", data: { role: "logout" }, on: { click: () => leave(left) } }, t("logOut")))));
  const stale = h("p", { class: "stale", id: "stale", role: "status" });
  const zone = h("footer", { class: "small soft" }, t("zone", { zone: zoneName() }));
  return { root: h("div", {}, skip, header, stale, main, zone), main };
}

async function leave(left) {
  try {
    await logOut();
    left();
  } catch (error) {
    announce(errorText(error));
  }
}

/** Name the page in the browser's tab, what is most particular first. */
export function title(...parts) {
  document.title = [...parts.filter(Boolean), t("brand")].join(" · ");
}

const THEMES = ["auto", "light", "dark"];
let theme = chosenTheme();

function chosenTheme() {
  try {
    const kept = localStorage.getItem("story-console-theme");
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** A button that goes through the themes; theme.js applies and keeps the choice. */
export function themeButton() {
  const button = h("button", { class: "quiet icon", type: "button", data: { role: "theme" }, on: { click: next } });
  const draw = () => {
    put(button, icon(`theme-${theme}`));
    button.dataset.theme = theme;
    for (const name of ["aria-label", "title"]) button.setAttribute(name, t(`theme.${theme}`));
  };

  function next() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    dispatchEvent(new CustomEvent("story-theme", { detail: theme }));
    draw();
  }
  draw();
  return button;
}

export function languageButton(render) {
  const other = language() === "zh" ? "en" : "zh";
  return h("button", {
    class: "quiet", type: "button", "aria-label": t("languageLabel"), lang: other, data: { role: "language" },
    on: { click: () => { choose(other); render(); } },
  }, t("language"));
}

/** The head of a page; its title gets the focus when the page opens. */
export function pageHead(title, lead, ...extra) {
  return h("div", { class: "page-head" },
    h("div", { class: "stack tight" }, h("h1", { tabindex: "-1" }, title), lead ? h("p", {}, lead) : null),
    extra);
}

/** The text of an empty list: that it is empty, and what to do. */
export function empty(title, hint) {
  return h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, hint));
}

/** A card with a form; submitting it calls `work`, whose error is shown in the card. */
export function form(title, fields, action, work) {
  const problem = h("p", { class: "bad", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, action);
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    button.disabled = true;
    try {
      await work(button);
    } catch (error) {
      problem.textContent = errorText(error);
    } finally {
      button.disabled = false;
      button.textContent = action;
    }
  };
  return h("form", { class: "card stack", on: { submit } }, h("h2", {}, title), fields, problem, h("div", {}, button));
}
