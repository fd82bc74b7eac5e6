"""Clients of the open API in JavaScript and Python, made from the API's own description (`staging.api.openapi`).

``/client.js`` is a module for browsers and Node, ``/client.py`` needs Python's standard library alone. Each has one method an
endpoint, with the parameters of the description under their own names, and signs the request. `staging.client` is
the client that this project uses itself, with types and pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# The methods' names by HTTP method and path below /v1, as `staging.client.OpenApiClient` has them.
NAMES: Final[Mapping[tuple[str, str], str]] = {
    ("GET", "/account/validate"): "validate",
    ("GET", "/account/infos"): "account",
    ("POST", "/device/bind"): "bind",
    ("PUT", "/device/name/update"): "rename",
    ("POST", "/device/unbind"): "unbind",
    ("GET", "/device/bind/list"): "devices",
    ("GET", "/device/info/by_token"): "info_by_token",
    ("GET", "/device/info/by_uuid"): "info",
    ("GET", "/device/resource"): "resource",
    ("POST", "/device/control/send"): "send",
    ("POST", "/device/query/data/connect"): "online",
    ("GET", "/device/query/data/history"): "history",
    ("GET", "/device/query/data/realtime"): "realtime",
    ("GET", "/device/ota/new_version"): "new_version",
    ("GET", "/device/ota/version/info"): "version",
    ("POST", "/device/ota/update"): "update",
    ("GET", "/device/ota/update/status"): "update_status",
    ("GET", "/device/data"): "stored",
    ("DELETE", "/device/data"): "erase_stored",
    ("GET", "/device/data/voice"): "voice_ledger",
    ("DELETE", "/device/data/voice"): "erase_voice",
    ("GET", "/device/data/receipt"): "receipt",
    ("GET", "/device/data/audit"): "audit",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """An endpoint: its method's name, and its parameters in the query and in the body, required ones first."""

    name: str
    method: str
    path: str
    text: str
    query: tuple[tuple[str, bool], ...]
    body: tuple[tuple[str, bool], ...]


def operations(schema: Mapping[str, Any], prefix: str) -> Iterator[Operation]:
    """Yield the signed endpoints of a description, in its order; ``prefix`` is ``/v1``."""
    for path, methods in schema["paths"].items():
        for method, found in methods.items():
            if "security" not in found:
                continue
            key = (method.upper(), path.removeprefix(prefix))
            name = NAMES.get(key) or found["operationId"]
            query = [
                (each["name"], each.get("required", False)) for each in found.get("parameters", [])
            ]
            yield Operation(
                name,
                key[0],
                path,
                found.get("description", ""),
                _sorted(query),
                _sorted(_body(schema, found)),
            )


def _body(schema: Mapping[str, Any], operation: Mapping[str, Any]) -> list[tuple[str, bool]]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return []
    model = schema["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    return [(name, name in model.get("required", [])) for name in model["properties"]]


def _sorted(parameters: list[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    return tuple(sorted(parameters, key=lambda each: not each[1]))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def javascript(schema: Mapping[str, Any], prefix: str) -> str:
    """Return the module ``/client.js``."""
    methods = "\n".join(_javascript_method(each) for each in operations(schema, prefix))
    return _JAVASCRIPT.replace("//METHODS", methods)


def _javascript_method(operation: Operation) -> str:
    head, *rest = operation.name.split("_")
    name = head + "".join(word.capitalize() for word in rest)
    text = "\n   * ".join(_lines(operation.text))
    taken = ", ".join(name for name, _ in (*operation.query, *operation.body))
    query = ", ".join(name for name, _ in operation.query)
    body = (
        f"{{ {', '.join(name for name, _ in operation.body)} }}" if operation.body else "undefined"
    )
    given = f"{{ {taken} }} = {{}}" if taken else ""
    return f"""
  /**
   * {text}
   */
  {name}({given}) {{
    return this.call({json.dumps(operation.method)}, {json.dumps(operation.path)}, {{ {query} }}, {body});
  }}"""


def python(schema: Mapping[str, Any], prefix: str) -> str:
    """Return the module ``/client.py``."""
    methods = "\n".join(_python_method(each) for each in operations(schema, prefix))
    return _PYTHON.replace("    # METHODS", methods)


def _python_method(operation: Operation) -> str:
    given = "".join(
        f", {name}" if required else f", {name}=None"
        for name, required in _sorted([*operation.query, *operation.body])
    )
    text = "\n        ".join(_lines(operation.text)).replace('"""', "'''")
    query = ", ".join(f'"{name}": {name}' for name, _ in operation.query)
    body = ", ".join(f'"{name}": {name}' for name, _ in operation.body)
    star = ", *" if given else ""
    return f'''
    def {operation.name}(self{star}{given}):
        """{text}"""
        return self.call("{operation.method}", "{operation.path}", {{{query}}}, {f"{{{body}}}" if body else None})'''


_JAVASCRIPT: Final = """\
// A client of the story cloud's open API, made by the cloud from its own description: one method an endpoint, with
// the parameters of /docs as one object. It signs each request (section 2.5.2); browsers sign on https and localhost only.
//
//   import { StoryApi } from "./client.js";
//   const cloud = new StoryApi("https://cloud.example", apikey, secret, accessToken);
//   await cloud.send({ deviceUuid, method: "PUT", name: "volume", content: "7" });
//
// A method returns the whole envelope (data, code, message, and total or nextPage where the endpoint has them), and
// throws StoryApiError where the cloud refuses. stored() returns a list of objects.

export class StoryApiError extends Error {
  constructor(status, code, message) {
    super(`${code} (HTTP ${status}): ${message}`);
    this.status = status;
    this.code = String(code);
  }
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

function nonce() {
  // 248 = 4 * 62: a byte above it would make some letters likelier.
  const letters = [];
  while (letters.length < 16) {
    for (const byte of crypto.getRandomValues(new Uint8Array(24))) {
      if (byte < 248 && letters.length < 16) letters.push(LETTERS[byte % 62]);
    }
  }
  return letters.join("");
}

async function sha1(text) {
  if (!crypto.subtle) throw new Error("this page cannot sign: it must come from https or localhost");
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const lines = (text) => text.split("\\n").filter((line) => line).map((line) => JSON.parse(line));

export class StoryApi {
  constructor(base, apikey, secret, token, { timeout = 15000 } = {}) {
    Object.assign(this, { base: base.replace(/\\/+$/, ""), apikey, secret, token, timeout });
  }

  /** Send a signed request; parameters that are undefined or null are left out. */
  async call(method, path, query, body) {
    const kept = (object) => Object.entries(object).filter(([, value]) => value !== undefined && value !== null);
    const asked = new URLSearchParams(kept(query).flatMap(([name, value]) => [value].flat().map((one) => [name, String(one)])));
    const once = nonce();
    const headers = {
      "X-IOT-APP": this.apikey,
      "X-IOT-Signature": `${once}:${await sha1(once + this.apikey + this.secret + this.token)}`,
      "X-IOT-Token": this.token,
    };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(`${this.base}${path}${asked.size ? `?${asked}` : ""}`, {
      method, headers, signal: AbortSignal.timeout(this.timeout),
      body: body === undefined ? undefined : JSON.stringify(Object.fromEntries(kept(body))),
    });
    const text = await response.text();
    if (response.ok && (response.headers.get("content-type") ?? "").includes("ndjson")) return lines(text);
    const envelope = parsed(text);
    if (!response.ok) throw new StoryApiError(response.status, envelope?.code ?? response.status, envelope?.message ?? "no envelope");
    return envelope;
  }
//METHODS
}
"""

_PYTHON: Final = '''\
"""A client of the story cloud's open API, made by the cloud from its own description.

One method an endpoint, with the parameters of /docs by name; each request is signed (section 2.5.2). Only Python's standard library
is needed.

    cloud = StoryApi("https://cloud.example", apikey, secret, access_token)
    cloud.send(deviceUuid=uuid, method="PUT", name="volume", content="7")

A method returns the whole envelope (data, code, message, and total or nextPage where the endpoint has them), and
raises StoryApiError where the cloud refuses; a cloud that cannot be reached is an OSError. ``stored`` returns a list of objects.
"""

import hashlib
import json
import secrets
import string
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

LETTERS = string.ascii_letters + string.digits


class StoryApiError(Exception):
    """The cloud refused: ``status`` is the HTTP status, ``code`` the envelope's code as a text."""

    def __init__(self, status, code, message):
        super().__init__(f"{code} (HTTP {status}): {message}")
        self.status = status
        self.code = str(code)


class StoryApi:
    """The open API for one app and one user."""

    def __init__(self, base, apikey, secret, token, timeout=15.0):
        self.base, self.apikey, self.secret, self.token = base.rstrip("/"), apikey, secret, token
        self.timeout = timeout

    def call(self, method, path, query, body):
        """Send a signed request; parameters that are None are left out."""
        nonce = "".join(secrets.choice(LETTERS) for _ in range(16))
        digest = hashlib.sha1(f"{nonce}{self.apikey}{self.secret}{self.token}".encode()).hexdigest()
        headers = {"X-IOT-APP": self.apikey, "X-IOT-Signature": f"{nonce}:{digest}", "X-IOT-Token": self.token}
        data = None
        if body is not None:
            data = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
            headers["Content-Type"] = "application/json"
        asked = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        url = self.base + path + (f"?{asked}" if asked else "")
        try:
            with urlopen(Request(url, data, headers, method=method), timeout=self.timeout) as response:
                if "ndjson" in response.headers.get("Content-Type", ""):
                    return [json.loads(line) for line in response if line.strip()]
                return json.load(response)
        except HTTPError as error:
            with error:
                envelope = _envelope(error.read())
            code, message = envelope.get("code", error.code), envelope.get("message", "no envelope")
            raise StoryApiError(error.code, code, message) from None

    # METHODS


def _envelope(text):
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
'''
