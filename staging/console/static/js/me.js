// One's own account: who is logged in, and another password.

import { post, renewed } from "./api.js";
import { announce, field, h, put, set } from "./dom.js";
import { tellTabs } from "./entry.js";
import { t } from "./i18n.js";
import { form, pageHead } from "./shell.js";
import "./words/me.js";

const LENGTH_MIN = 8;
const LENGTH_MAX = 256;

export function show(main, { user }) {
  put(main, pageHead(t("me"), t("meLead", { name: user.name, role: t(`role.${user.role}`) })),
    h("div", { class: "grid" }, h("div", { class: "c6" }, passwordForm(user))));
}

function passwordForm(user) {
  const input = (name, autocomplete, more = {}) => h("input", { name, type: "password", autocomplete, required: true, maxlength: LENGTH_MAX, ...more });
  const old = input("old", "current-password");
  const first = input("new", "new-password", { minlength: LENGTH_MIN });
  const second = input("again", "new-password", { minlength: LENGTH_MIN });
  const made = form(t("changePassword"), [
    h("input", { type: "text", name: "user", value: user.name, autocomplete: "username", hidden: true }),
    field(t("oldPassword"), (attributes) => set(old, attributes)),
    field(t("newOwnPassword"), (attributes) => set(first, attributes), t("passwordHint")),
    field(t("newPasswordAgain"), (attributes) => set(second, attributes)),
  ], t("changePassword"), async () => {
    if (first.value !== second.value) throw new Error(t("passwordsDiffer"));
    renewed(await post("/me/password", { old: old.value, new: first.value }));
    made.reset();
    announce(t("passwordChanged"));
    tellTabs();
  });
  made.dataset.part = "own-password";
  return made;
}
