// The device page: asks the machine how it is, shows it, and sends what somebody presses. No library, no build step.
import { WORDS } from "/page/words.js";

// Milliseconds between two looks, doubled while the machine does not answer.
const LOOK = 2000, LOOK_MAX = 30000;
// Milliseconds until an answer counts as missing.
const PATIENCE = 15000;
const LANGUAGE = "story-page-language";
const $ = (id) => document.getElementById(id);

let language = kept() || (document.documentElement.lang === "en" ? "en" : "zh");
let state = null, seenAt = null, failures = 0, timer = 0, sending = 0, said = 0, looks = 0, voiceTimer = 0;

function kept() {
  try { return localStorage.getItem(LANGUAGE); } catch { return null; }
}
const word = (name, values = {}) => WORDS[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
const text = (id, value) => { const e = $(id), t = value ?? ""; if (e.textContent !== t) e.textContent = t; };
const show = (id, on) => { $(id).hidden = !on; };

async function ask(method, path, body, query = "") {
  const headers = { "X-Story-Page": "1" };
  const signal = AbortSignal.timeout(PATIENCE);
  return fetch(`/page/${path}?lang=${language}${query}`, { method, body, headers, signal, cache: "no-store", redirect: "error" });
}

// What is looked at.

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  const mine = ++looks;
  try {
    const answer = await ask("GET", "state");
    if (mine !== looks) return;
    if (answer.status === 401) return enter();
    if (!answer.ok) throw new Error(answer.status);
    take(await answer.json());
  } catch {
    if (mine !== looks) return;
    failures += 1;
    lost(failures > 1 || state === null);
  }
  later();
}
function later() {
  const wait = Math.min(LOOK_MAX, LOOK * 2 ** failures);
  clearTimeout(timer);
  timer = setTimeout(look, failures ? wait * (0.5 + Math.random() / 2) : wait);
}
function lost(on) {
  if (on) {
    const time = seenAt && seenAt.toLocaleTimeString(language === "zh" ? "zh-CN" : "en-GB");
    text("lost", seenAt ? word("lost", { time }) : word("lostFirst"));
  }
  show("lost", on);
}
function take(found) {
  state = found;
  seenAt = new Date();
  failures = 0;
  lost(false);
  show("entry", false);
  show("inside", true);
  show("log-out", true);
  render();
}
function enter() {
  state = null;
  clearTimeout(timer);
  lost(false);
  failures = 0;
  show("inside", false);
  show("log-out", false);
  if ($("entry").hidden) {
    show("entry", true);
    $("token").focus();
  }
}

// What is shown.

const clock = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  const s = Math.floor(seconds), two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
};
function list(id, lines) {
  const now = JSON.stringify(lines), box = $(id);
  if (box.dataset.now === now) return;
  box.dataset.now = now;
  box.replaceChildren(...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })));
}
function render() {
  renderPlay(state.play);
  renderVolume(state.volume);
  text("timer-text", state.timer.text);
  for (const e of document.querySelectorAll("[data-timer]")) e.setAttribute("aria-pressed", String(e.dataset.timer === state.timer.value));
  toggle("microphone", state.microphone.on);
  text("microphone-text", state.microphone.text);
  toggle("lock", state.rules.child_lock === undefined ? null : state.rules.child_lock === "true");
  const rules = state.rules.rules;
  text("rules-text", rules && rules !== "off" ? word("rules", { value: rules }) : word("rulesNone"));
  text("battery", state.battery.text);
  text("link", [state.link.text, state.link.cause].filter(Boolean).join(language === "zh" ? "：" : ": "));
  text("remedy", state.link.remedy && `→ ${state.link.remedy}`);
  text("update", state.update.text);
  show("update-progress", state.update.percent !== null);
  if (state.update.percent !== null) $("update-progress").value = state.update.percent;
  $("update-progress").setAttribute("aria-label", word("update"));
  text("version", state.version);
  text("uuid", state.uuid);
  text("trouble", state.trouble);
  show("trouble", Boolean(state.trouble));
  show("away", state.away !== null);
  if (state.away) {
    text("away-title", state.away.title);
    list("goes-on", state.away.goesOn);
    list("waits", state.away.waits);
  }
}
function renderPlay(play) {
  text("title", play.title || word("nothing"));
  text("play-text", play.count > 1 && play.index ? `${play.text} · ${play.index}/${play.count}` : play.text);
  show("play-text", Boolean(play.title) || play.state !== "idle");
  show("place", Boolean(play.title) && play.state !== "idle");
  renderPosition();
  const sounds = play.state === "playing" || play.state === "loading";
  const key = $("play-pause");
  key.dataset.order = sounds ? "pause" : "resume";
  key.dataset.word = sounds ? "pause" : "resume";
  text("play-pause", word(key.dataset.word));
  const queue = play.queue || [];
  show("queue-box", queue.length > 1);
  text("queue-count", play.count ? `(${play.count})` : "");
  const now = JSON.stringify([queue, play.index, language]);
  if ($("queue").dataset.now === now) return;
  $("queue").dataset.now = now;
  const focused = document.activeElement?.dataset?.jump;
  $("queue").replaceChildren(...queue.map(([number, title]) => {
    const line = document.createElement("li"), button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet", textContent: `${number}. ${title}` });
    button.dataset.jump = number;
    if (number === play.index) button.setAttribute("aria-current", "true");
    line.append(button);
    return line;
  }));
  if (focused) document.querySelector(`[data-jump="${focused}"]`)?.focus();
}
function renderPosition() {
  if (!state) return;
  const play = state.play;
  const passed = play.state === "playing" && failures === 0 ? (Date.now() - seenAt) / 1000 : 0;
  let position = play.position === null || play.position === undefined ? null : play.position + passed;
  if (position !== null && play.length) position = Math.min(position, play.length);
  text("position", clock(position));
  text("length", clock(play.length));
  $("progress").max = play.length || 1;
  $("progress").value = play.length && position !== null ? position : 0;
  $("progress").setAttribute("aria-label", word("playing"));
}
function renderVolume(volume) {
  const slider = $("volume"), known = volume.value !== null;
  slider.min = volume.min;
  slider.max = volume.max;
  if (!sending && !slider.matches(":active") && known) slider.value = volume.value;
  text("volume-value", known ? String(volume.value) : "–");
  text("volume-text", volume.text);
  $("softer").disabled = !known || volume.value <= volume.min;
  $("louder").disabled = !known || volume.value >= volume.max;
}
function toggle(id, on) {
  const button = $(id);
  button.disabled = on === null;
  button.setAttribute("aria-checked", String(on === true));
  text(id, on === null ? "–" : word(on ? "on" : "off"));
}
function words() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = word("machine");
  for (const e of document.querySelectorAll("[data-word]")) e.textContent = word(e.dataset.word);
  for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", word(e.dataset.label));
  $("language").textContent = word("language");
  $("language").lang = language === "zh" ? "en" : "zh-CN";
  $("code").alt = word("code");
  if (state) render();
}
function tell(what) {
  text("said", what);
  clearTimeout(said);
  said = setTimeout(() => text("said", ""), 6000);
}

// What is sent; the answer has the state afterwards, also when the machine refuses.

async function set(name, value) {
  sending += 1;
  looks += 1;
  clearTimeout(timer);
  try {
    const answer = await ask("PUT", `points/${name}`, value);
    if (answer.status === 401) return enter();
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.text);
    sending -= 1;
    take(found);
    sending += 1;
    tell(found.set.ok ? found.set.text : word("refused", { reason: found.set.text }));
  } catch {
    tell(word("unsent"));
    failures += 1;
  } finally {
    sending -= 1;
  }
  if (failures) look(); else later();
}
async function logIn(event) {
  event.preventDefault();
  text("entry-said", "");
  try {
    const answer = await ask("POST", "session", $("token").value.trim());
    if (!answer.ok) {
      text("entry-said", (await answer.json()).text);
      $("token").select();
      return;
    }
    $("token").value = "";
    await look();
    document.querySelector("h1").focus();
  } catch {
    text("entry-said", word("lostFirst"));
  }
}
async function logOut() {
  try { await ask("DELETE", "session"); } catch { tell(word("unsent")); return; }
  $("pair").open = $("voice").open = false;
  $("voice-list").replaceChildren();
  enter();
}
async function pair() {
  if (!$("pair").open) {
    show("code", false);
    $("code").removeAttribute("src");
    text("pair-text", "");
    return;
  }
  try {
    const answer = await ask("GET", "pair");
    if (answer.status === 401) { enter(); return; }
    const found = await answer.json();
    show("code", found.picture);
    if (found.picture) $("code").src = "/page/pair.svg";
    const values = word("pairText", { uuid: found.deviceUuid, token: found.token });
    text("pair-text", [found.note, values].filter(Boolean).join(" "));
  } catch {
    tell(word("unsent"));
  }
}
async function voice(method = "GET", query = "") {
  if (!$("voice").open) return;
  try {
    const answer = await ask(method, "voice", undefined, query);
    if (answer.status === 401) { enter(); return; }
    const found = await answer.json();
    if (!answer.ok) { tell(found.text); return; }
    renderVoice(found);
    if (method === "DELETE") tell(word("eraseOrdered"));
    clearTimeout(voiceTimer);
    if (found.waiting) voiceTimer = setTimeout(voice, LOOK);
  } catch {
    tell(word("unsent"));
  }
}
function renderVoice(found) {
  text("voice-fault", found.fault);
  show("voice-none", found.entries.length === 0);
  show("voice-erase", found.entries.some((entry) => entry.erasable));
  $("voice-list").replaceChildren(...found.entries.map((entry) => {
    const line = document.createElement("li");
    const part = (name, className, content) => Object.assign(document.createElement(name), { className, textContent: content });
    line.append(part("div", "", `${entry.time} ${entry.text}`), part("div", "soft", entry.fate));
    if (entry.erasable) {
      const button = Object.assign(part("button", "quiet", word("erase")), { type: "button" });
      button.setAttribute("aria-label", `${word("erase")} ${entry.time}`);
      button.addEventListener("click", () => voice("DELETE", `&id=${entry.number}`));
      line.append(button);
    }
    return line;
  }));
}
function rules(event) {
  event.preventDefault();
  const form = $("rules"), [from, to, daily] = ["from", "to", "daily"].map((name) => form.elements[name].value);
  const clauses = [];
  if (from && to) clauses.push(`quiet ${from}-${to}`);
  if (daily !== "") clauses.push(`daily ${daily}`);
  set("rules", clauses.join("; ") || "off");
}

$("entry").addEventListener("submit", logIn);
$("log-out").addEventListener("click", logOut);
$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  try { localStorage.setItem(LANGUAGE, language); } catch { /* private windows keep nothing */ }
  text("said", "");
  words();
  pair();
  voice();
  look();
});
document.addEventListener("click", (event) => {
  const data = event.target.closest("button")?.dataset ?? {};
  if (data.order) set("play", data.order);
  if (data.timer) set("sleep_timer", data.timer);
  if (data.jump) set("play", JSON.stringify({ jump: Number(data.jump) }));
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  set("play", event.target.elements.name.value.trim());
});
$("volume").addEventListener("input", () => text("volume-value", $("volume").value));
$("volume").addEventListener("change", () => set("volume", $("volume").value));
$("softer").addEventListener("click", () => set("volume", String(state.volume.value - 1)));
$("louder").addEventListener("click", () => set("volume", String(state.volume.value + 1)));
$("microphone").addEventListener("click", () => set("microphone", String(!state.microphone.on)));
$("lock").addEventListener("click", () => set("child_lock", String(state.rules.child_lock !== "true")));
$("rules").addEventListener("submit", rules);
$("rules-off").addEventListener("click", () => set("rules", "off"));
$("pair").addEventListener("toggle", pair);
$("voice").addEventListener("toggle", () => voice());
$("voice-erase").addEventListener("click", () => { if (confirm(word("eraseAsk"))) voice("DELETE"); });
document.addEventListener("visibilitychange", () => { if (!document.hidden && $("entry").hidden) look(); });
addEventListener("online", () => look());
setInterval(renderPosition, 1000);
document.querySelector("h1").tabIndex = -1;
words();
look();
