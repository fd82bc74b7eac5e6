// Accounts: their roles, and what they have taken back.

import { get, post } from "./api.js";
import { copyable } from "./copyable.js";
import { announce, confirm, field, h, put, set } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { form, pageHead } from "./shell.js";
import "./words/accounts.js";

export async function show(main, { signal }) {
  const list = h("div", { class: "card" });
  const once = h("div", {});
  const first = await get("/accounts");
  if (signal.aborted) return;
  put(main, pageHead(t("accounts"), t("accountsLead")),
    h("div", { class: "grid" }, h("div", { class: "c8 stack wide" }, once, list), h("div", { class: "c4" }, newAccount(first.roles))));
  draw(first);

  async function load() {
    const found = await get("/accounts");
    if (!signal.aborted) draw(found);
  }

  function draw({ accounts, roles }) {
    const at = document.activeElement;
    const focused = list.contains(at) ? [at.closest("[data-account]")?.dataset.account, at.dataset.role] : null;
    put(list, h("table", { class: "list" },
      h("caption", { class: "sr" }, t("accounts")),
      h("thead", {}, h("tr", {}, ["user", "role", "state", "actions"].map((name) => h("th", { scope: "col" }, t(name))))),
      h("tbody", {}, accounts.map((account) => line(account, roles)))));
    if (focused) refocus(...focused);
  }

  /** Whoever works without a mouse stays at the account; where "disable" was, "enable" is now. */
  function refocus(account, role) {
    const row = [...list.querySelectorAll("[data-account]")].find((each) => each.dataset.account === account);
    (row?.querySelector(`[data-role="${role}"]`) ?? row?.querySelector("button"))?.focus();
  }

  /** Show a password that no other answer contains. */
  function reveal({ name, password }) {
    put(once, h("section", { class: "card stack", data: { part: "password" } },
      h("h2", {}, t("accountPassword", { name })), copyable("password", password), h("p", { class: "note" }, t("shownOnce"))));
  }

  function newAccount(roles) {
    const name = h("input", { name: "name", required: true, maxlength: 64, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
    const role = h("select", { name: "role" }, [...roles].reverse().map((key) => h("option", { value: key, selected: key === "tester" }, t(`role.${key}`))));
    return form(t("newAccount"), [
      field(t("user"), (attributes) => set(name, attributes)),
      field(t("role"), (attributes) => set(role, attributes)),
    ], t("create"), async () => {
      reveal(await post("/accounts", { name: name.value, role: role.value }));
      announce(t("accountAdded", { name: name.value }));
      name.value = "";
      await load();
    });
  }

  function line(account, roles) {
    const disabled = account.status === "DISABLE";
    const cell = (name, ...shown) => h("td", { data: { label: t(name) } }, h("span", {}, shown));
    return h("tr", { data: { account: account.name } },
      h("td", {}, h("span", {}, h("strong", {}, account.name), account.you ? h("span", { class: "soft small" }, ` ${t("you")}`) : null)),
      cell("role", account.you ? t(`role.${account.role}`) : roleChoice(account, roles)),
      cell("state", h("span", { class: `chip ${disabled ? "bad" : "good"}` }, t(`account.${account.status}`)),
        account.canLogIn ? null : h("span", { class: "soft small" }, ` ${t("noLogIn")}`)),
      h("td", { data: { label: t("actions") } }, h("div", { class: "row" }, actions(account, disabled))));
  }

  function roleChoice(account, roles) {
    const choice = h("select", { "aria-label": `${account.name}: ${t("role")}`, data: { role: "role" } },
      roles.map((key) => h("option", { value: key, selected: key === account.role }, t(`role.${key}`))));
    choice.addEventListener("change", () => act(account, "role", { role: choice.value }));
    return choice;
  }

  function actions(account, disabled) {
    const { name } = account;
    const button = (role, work, kind = null) => h("button", { type: "button", class: kind, "aria-label": `${name}: ${t(role)}`, data: { role }, on: { click: work } }, t(role));
    return [
      account.you ? null : disabled
        ? button("enable", () => act(account, "enable"))
        : button("disable", () => ask("disable", account, "disable"), "danger"),
      button("newPassword", () => ask("newPassword", account, "password")),
      button("endSessions", () => act(account, "sessions/revoke")),
      button("endTokens", () => ask("endTokens", account, "tokens/revoke")),
    ];
  }

  async function ask(words, account, where) {
    const { name } = account;
    const asked = { title: t(`${words}Title`, { name }), text: t(`${words}Text`), yes: t(words), no: t("cancel") };
    if (await confirm(asked)) await act(account, where);
  }

  async function act(account, where, body = {}) {
    try {
      const answer = await post(`/accounts/${account.id}/${where}`, body);
      if (answer.password) reveal(answer);
      announce(t("accountChanged", { name: account.name }));
    } catch (error) {
      announce(errorText(error));
    }
    await load();
  }
}
