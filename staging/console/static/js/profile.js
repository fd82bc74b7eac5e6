// The profile of a device as a file, which is handed out once. It contains the device's token, so it is fetched by POST and has no
// URL: the browser saves the answer and keeps no copy.

import { download } from "./api.js";
import { announce, h } from "./dom.js";
import { errorText, t } from "./i18n.js";
import "./words/products.js";

const KEPT_MS = 10_000;

/** A button that saves the profile of a device. */
export function profileButton(uuid) {
  const button = h("button", { type: "button", "aria-label": t("profileOf", { uuid }), data: { role: "profile", uuid }, on: { click: fetchIt } }, t("profile"));

  async function fetchIt() {
    button.disabled = true;
    try {
      saveFile(await download(`/devices/${uuid}/profile`), `profile-${uuid}.json`);
      announce(t("profileSaved"));
    } catch (error) {
      announce(errorText(error));
    } finally {
      button.disabled = false;
    }
  }
  return button;
}

/** Have the browser save a blob as a file. */
export function saveFile(blob, name) {
  const href = URL.createObjectURL(blob);
  const link = h("a", { href, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  // The browser reads the blob after the click, and gives no event when it is done.
  setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
}
