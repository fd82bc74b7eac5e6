// Requests to the cloud. The session is a cookie that scripts cannot read. Each request that changes
// something carries the CSRF token, which comes with the session and is kept in this module only.

export const BASE = "/console/api";
let csrf = "";
let lost = () => {};

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Call `listener` when the session has ended. */
export function onSessionLost(listener) {
  lost = listener;
}

/** Return the name and role of the user who is logged in, or null. */
export async function session() {
  return entered(await request("GET", "/session"));
}

/** Ask whether the session still is, which another operator or another password may have ended. */
export async function checkSession() {
  try {
    if ((await request("GET", "/session")).user === null) lost();
  } catch { /* the cloud cannot be reached: nothing is known */ }
}

function entered(answer) {
  csrf = answer.csrf;
  return answer.user === null ? null : { name: answer.user, role: answer.role };
}

export async function logIn(user, password) {
  return entered(await request("POST", "/session", { user, password }));
}

export async function logOut() {
  await request("DELETE", "/session");
  await session();
}

export const get = (path) => request("GET", path);
export const post = (path, body = {}) => request("POST", path, body);
export const putJson = (path, body) => request("PUT", path, body);

/** Fetch a file that must have no URL, by POST; returns its Blob. */
export async function download(path) {
  const response = await send("POST", path, {});
  return response.ok ? response.blob() : read(response.status, await response.text(), path);
}

async function request(method, path, body) {
  const response = await send(method, path, body);
  return read(response.status, await response.text(), path);
}

async function send(method, path, body) {
  const headers = {};
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(BASE + path, {
      method,
      headers,
      credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, "network", "the cloud cannot be reached");
  }
}

function read(status, text, path) {
  let answer = null;
  try {
    answer = JSON.parse(text);
  } catch { /* without JSON, the status decides */ }
  if (status >= 200 && status < 300 && answer !== null) return answer;
  const error = answer?.error ?? {};
  if (status === 401 && path !== "/session") lost();
  throw new ApiError(status, error.code ?? String(status), error.message ?? `HTTP ${status}`);
}

/** Upload a file; `progress` gets the part that is sent, 0..1. XMLHttpRequest reports it, fetch() does not. */
export function upload(path, file, progress) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("PUT", BASE + path);
    sending.setRequestHeader("X-CSRF-Token", csrf);
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
    sending.addEventListener("error", () => reject(new ApiError(0, "network", "the cloud cannot be reached")));
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
