// The log-in page, and its form, which also stands over a page whose session has ended.

import { logIn } from "./api.js";
import { field, h, mark, put } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { languageButton, themeButton, title } from "./shell.js";
import "./words/login.js";

export function show(root, { entered, render, signal }) {
  title(t("logIn"));
  const made = loginForm(entered, { signal });
  put(root, h("div", { class: "entry" }, h("main", {},
    h("div", { class: "card stack" },
      h("div", { class: "row between" }, h("span", { class: "brand" }, mark(), t("brand")), h("div", { class: "row" }, themeButton(), languageButton(render))),
      h("h1", {}, t("logIn")), made.form,
      h("p", { class: "soft small" }, t("logInLead"))))));
  made.focus();
}

/** Make the form; `entered(user)` is called with who has logged in. `name` is who is likely to. */
export function loginForm(entered, { signal = null, name = "" } = {}) {
  const problem = h("p", { class: "note bad hidden", role: "alert" });
  const user = h("input", { name: "user", autocomplete: "username", required: true, maxlength: 64, value: name, autocapitalize: "none", spellcheck: "false" });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 256 });
  const button = h("button", { class: "primary", type: "submit" }, t("logIn"));
  const form = h("form", { class: "stack", on: { submit } },
    labelled(t("user"), user), labelled(t("password"), password), problem, button);

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.classList.add("hidden");
    try {
      entered(await logIn(user.value, password.value));
    } catch (error) {
      if (signal?.aborted) return;
      problem.textContent = errorText(error);
      problem.classList.remove("hidden");
      password.value = "";
      password.focus();
    } finally {
      button.disabled = false;
    }
  }
  return { form, focus: () => (name ? password : user).focus() };
}

function labelled(label, input) {
  return field(label, (attributes) => {
    input.id = attributes.id;
    return input;
  });
}
