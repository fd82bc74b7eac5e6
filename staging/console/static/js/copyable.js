// A value that cannot be changed, with a button that copies it.

import { announce, field, h, set } from "./dom.js";
import { t } from "./i18n.js";
import "./words/copyable.js";

/** Make the field of the value `name`, which is the key of its label too. */
export function copyable(name, value) {
  const input = h("input", { value, readonly: true, class: "mono", data: { value: name } });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      announce(t("copied", { name: t(name) }));
    } catch {  // no clipboard without HTTPS, or the browser refused it: the user copies by hand
      input.select();
      announce(t("copyFailed"));
    }
  };
  return field(t(name), (attributes) => h("div", { class: "row" },
    h("div", { class: "grow" }, set(input, attributes)),
    h("button", { type: "button", "aria-label": t("copyNamed", { name: t(name) }), data: { role: `copy-${name}` }, on: { click: copy } }, t("copy"))));
}
