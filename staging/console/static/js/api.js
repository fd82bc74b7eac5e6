// Requests to the cloud. The session is a cookie that scripts cannot read. Each request that changes
// something carries the CSRF token, which comes with the session and is kept in this module only.

export const BASE = "/console/api";
// A device has 10 s to answer, and a cloud that is being restarted takes as long.
const DEADLINE_MS = 60000;
// Of an upload, in which nothing moves: the cloud looks through a large package before it answers.
const UPLOAD_IDLE_MS = 300000;
let csrf = "";
let known = null;
let listener = { lost: () => {}, found: () => {} };
// Counts log-ins and log-outs: what was asked before one of them says nothing about the session after it.
let epoch = 0;
// While somebody logs out, what the page still asks is answered that the session has ended, which nobody wants to be told.
let leaving = false;

export class ApiError extends Error {
  constructor(status, code, message, values = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.values = values;
  }
}

/** The cloud cannot be reached. */
export const unreachable = () => new ApiError(0, "network", "the cloud cannot be reached");

/** Call `lost()` when the session has ended, and `found(user)` when somebody turns out to be logged in who was not before. */
export function onSession(listeners) {
  listener = listeners;
}

/** Return the name and role of the user who is logged in, or null. */
export async function session() {
  return entered(await request("GET", "/session"));
}

/**
 * Ask whether the session still is, which a restart of the cloud, another operator or another password may have ended, or
 * whether another tab has begun one. Returns whether somebody is logged in; also true if the cloud cannot be reached, when
 * nothing is known.
 */
export async function checkSession() {
  const asked = epoch;
  try {
    const answer = await request("GET", "/session");
    if (asked !== epoch) return known !== null;
    const before = known;
    const now = entered(answer);
    if (now === null) listener.lost();
    else if (before?.name !== now.name || before.role !== now.role) listener.found(now);
    return now !== null;
  } catch {
    return true;
  }
}

function entered(answer) {
  csrf = answer.csrf;
  known = answer.user === null ? null : { name: answer.user, role: answer.role };
  return known;
}

export async function logIn(user, password) {
  const answer = await request("POST", "/session", { user, password });
  epoch += 1;
  return entered(answer);
}

export async function logOut() {
  leaving = true;
  try {
    // A session that has ended already is as good.
    await request("DELETE", "/session").catch((error) => { if (error.status !== 401) throw error; });
    epoch += 1;
    await session();
  } finally {
    leaving = false;
  }
}

export const get = (path) => request("GET", path);
export const post = (path, body = {}) => request("POST", path, body);
export const putJson = (path, body) => request("PUT", path, body);

/** Take the session that an answer began anew. */
export function renewed(answer) {
  epoch += 1;
  return entered(answer);
}

/** Fetch what the cloud tells everybody, beside the console's own addresses. */
export async function getPublic(path) {
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(DEADLINE_MS) });
  } catch {
    throw unreachable();
  }
  return read(response.status, await textOf(response), path);
}

/** Fetch a file that must have no URL, by POST; returns its Blob. `told` gets the answer's headers. */
export async function download(path, body = {}, told = () => {}) {
  const response = await send("POST", path, body);
  if (response.ok) told(response.headers);
  return response.ok ? whole(response.blob()) : read(response.status, await textOf(response), path);
}

async function request(method, path, body) {
  const asked = epoch;
  const response = await send(method, path, body);
  const text = await textOf(response);
  // Another tab has logged in since: the token is the next session's, which is the same person's.
  if (response.status === 403 && isForged(text) && await renewToken()) {
    const again = await send(method, path, body);
    return read(again.status, await textOf(again), path, asked);
  }
  return read(response.status, text, path, asked);
}

const textOf = (response) => whole(response.text());

/** Return an answer's body. */
async function whole(body) {
  try {
    return await body;
  } catch {  // the connection broke, or the deadline is over
    throw unreachable();
  }
}

function isForged(text) {
  try {
    return JSON.parse(text).error.code === "csrf";
  } catch {
    return false;
  }
}

/** Fetch the CSRF token of the session that is; returns whether it is of whom the page is shown to. */
async function renewToken() {
  const before = known;
  const response = await send("GET", "/session");
  if (!response.ok) return false;
  const now = entered(read(response.status, await textOf(response), "/session"));
  if (now?.name === before?.name && now?.role === before?.role) return true;
  if (now === null) listener.lost();
  else listener.found(now);
  return false;
}

async function send(method, path, body) {
  const headers = {};
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return dated(await fetch(BASE + path, {
      method,
      headers,
      credentials: "same-origin",
      signal: AbortSignal.timeout(DEADLINE_MS),
      body: body === undefined ? undefined : JSON.stringify(body),
    }));
  } catch {
    throw unreachable();
  }
}

// By how many ms the cloud's clock is ahead of the browser's, as its last answer said; a second is what that header tells.
let ahead = 0;

function dated(response) {
  const at = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(at)) ahead = at - Date.now();
  return response;
}

/** The cloud's time now, in ms: with it the ages of its times are right on a computer whose clock is not. */
export function serverNow() {
  return Date.now() + ahead;
}

function read(status, text, path, asked = epoch) {
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch { /* without JSON, the status decides */ }
  if (status >= 200 && status < 300 && answer !== null) return answer;
  // A proxy or the log-in page of a network answers in the cloud's place.
  if (status >= 200 && status < 300) throw new ApiError(status, "foreign", "the answer is not the cloud's");
  const error = answer?.error ?? {};
  if (status === 401 && path !== "/session" && asked === epoch && !leaving) listener.lost();
  throw new ApiError(status, error.code ?? String(status), error.message ?? `HTTP ${status}`, error.values ?? {});
}

/** Upload a file; `progress` gets the part that is sent, 0..1. XMLHttpRequest reports it, fetch() does not. */
export async function upload(path, file, progress) {
  await renewToken();  // a file is not sent twice
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", BASE + path);
    sending.setRequestHeader("X-CSRF-Token", csrf);
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
    let idle;
    const wait = () => {
      clearTimeout(idle);
      idle = setTimeout(() => sending.abort(), UPLOAD_IDLE_MS);
    };
    wait();
    sending.upload.addEventListener("progress", wait);
    sending.addEventListener("loadend", () => clearTimeout(idle));
    for (const end of ["error", "abort"]) sending.addEventListener(end, () => reject(unreachable()));
    sending.addEventListener("load", () => {
      try {
        resolve(read(sending.status, sending.responseText, path));
      } catch (error) {
        reject(error);
      }
    });
    sending.send(file);
  });
}
