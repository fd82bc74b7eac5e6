// The log-in over a page whose session has ended, which stays as it is: what was typed, and where it was scrolled to.
// Tabs of one browser share the session: a log-in in one of them is the others' too.

import { checkSession, session } from "./api.js";
import { h, uid } from "./dom.js";
import { t } from "./i18n.js";
import { loginForm } from "./login.js";

const CHECK_MS = 2500;
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("story-console") : null;

/** Tell this page's streams and the other tabs that somebody has logged in or out. */
export function tellTabs() {
  channel?.postMessage("session");
  dispatchEvent(new Event("story-session"));
}

if (channel !== null) channel.onmessage = () => checkSession();

let open = null;

/** Ask for the log-in over the page of the user `name`; `entered(user)` gets who logs in, here or in another tab. */
export async function askToLogIn(name, entered) {
  if (open !== null) return;
  const id = uid("again");
  const made = loginForm((user) => finish(user, { here: true }), { name });
  const dialog = h("dialog", { class: "again", "aria-labelledby": id, data: { part: "again" } },
    h("div", { class: "stack" }, h("h2", { id }, t("sessionEnded")), h("p", { class: "soft" }, t("sessionEndedHint")), made.form));
  const checking = setInterval(() => { if (!document.hidden) checkSession(); }, CHECK_MS);
  let done = false;

  function finish(user, { here }) {
    done = true;
    open = null;
    clearInterval(checking);
    dialog.close();
    dialog.remove();
    entered(user);
    if (here) tellTabs();
    else dispatchEvent(new Event("story-session"));
  }

  // Without a session the page is of no use: Escape does not leave it so.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("close", () => { if (!done) dialog.showModal(); });
  open = { finish };
  document.body.append(dialog);
  dialog.showModal();
  made.focus();
  // A visitor has a CSRF token of its own; and somebody may be logged in again by now.
  const user = await session().catch(() => null);
  if (user !== null && !done) finish(user, { here: false });
}

/** Somebody is logged in again: the log-in, if it is asked for, is over. Returns whether it was. */
export function foundSession(user) {
  if (open === null) return false;
  open.finish(user, { here: false });
  return true;
}
