"""The OpenAPI description of the open API, served as ``/openapi.json`` and readable at ``/docs``.

FastAPI provides parameters and responses. This module adds the three headers and each endpoint's
errors. The page is our own, without a form to try requests, because a form could not sign them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from staging.api.envelope import PREFIX
from staging.codes import ErrorCode as Code

_HEADERS = {
    "app": ("X-IOT-APP", "the app's apikey"),
    "signature": (
        "X-IOT-Signature",
        (
            "`{nonce}:SHA1({nonce}+{apikey}+{secret}+{token})`, with a new nonce of 16 characters "
            "a-z, A-Z, 0-9 each time"
        ),
    ),
    "token": ("X-IOT-Token", "the access_token"),
}
# Errors of every signed request: headers, token, account, scope, and the cloud's own failures.
_SIGNED: tuple[int | Code, ...] = (
    401,
    404,
    426,
    Code.ACCOUNT_NOT_FOUND,
    Code.NO_PERMISSION,
    500,
    503,
)
_DEVICE = (Code.DEVICE_UUID_INVALID, Code.DEVICE_NOT_EXIST, Code.APP_NOT_BOUND)
_BOUND = (*_DEVICE, Code.NOT_BOUND)
_ERRORS: Mapping[str, tuple[int | Code, ...]] = {
    "/account/validate": (),
    "/account/infos": (),
    "/device/bind": (*_DEVICE, Code.DEVICE_TOKEN_INVALID, Code.TOKEN_DOES_NOT_MATCH, 406),
    "/device/name/update": _BOUND,
    "/device/unbind": _BOUND,
    "/device/bind/list": (Code.QUERY_PARAMS_INVALID,),
    "/device/info/by_token": (*_DEVICE, Code.DEVICE_TOKEN_INVALID, Code.TOKEN_DOES_NOT_MATCH),
    "/device/info/by_uuid": _BOUND,
    "/device/resource": _BOUND,
    "/device/control/send": (*_BOUND, Code.COMMAND_NAME_INVALID, Code.METHOD_INVALID, 502, 504),
    "/device/query/data/connect": (
        *_DEVICE,
        Code.DEVICE_ID_EMPTY,
        Code.ACCOUNT_HAS_NO_POWER,
        Code.TOO_MANY_DEVICES,
    ),
    "/device/query/data/history": (*_BOUND, Code.QUERY_PARAMS_INVALID),
    "/device/query/data/realtime": (*_BOUND, Code.QUERY_PARAMS_INVALID),
    "/device/ota/new_version": _BOUND,
    "/device/ota/version/info": (Code.PACKAGE_ID_INVALID, Code.APP_NOT_BOUND),
    "/device/ota/update": (
        *_BOUND,
        Code.PROJECT_ID_ERROR,
        Code.PACKAGE_ID_INVALID,
        Code.STRATEGY_INVALID,
        Code.STRATEGY_NOT_FOR_USER,
        Code.OTA_PARAMS_ERROR,
        Code.OTA_RUNNING,
        Code.OTA_VERSION_NOT_NEWER,
    ),
    "/device/ota/update/status": (*_BOUND, Code.OTA_TASK_ERROR),
}
_WORDS = {
    400: "not of the form that is asked for",
    401: "a header is missing or wrong, or the nonce was used",
    404: "no such access_token",
    406: "device has been bind!",
    413: "the body is too long",
    426: "the access_token expired",
    429: "too many failed log-ins",
    500: "the cloud failed",
    502: "the device's answer is not usable",
    503: "the device is offline or busy, or the cloud's store is",
    504: "the device did not answer in time",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description; the first call creates it."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schema["components"]["securitySchemes"] = {
            name: {"type": "apiKey", "in": "header", "name": header, "description": text}
            for name, (header, text) in _HEADERS.items()
        }
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                _complete(operation, path.removeprefix(PREFIX))
        schema["components"]["schemas"].pop("HTTPValidationError", None)
        schema["components"]["schemas"].pop("ValidationError", None)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(operation: dict[str, Any], path: str) -> None:
    """Add an endpoint's headers and errors; where FastAPI documents 422, we send 400."""
    operation["responses"].pop("422", None)
    errors: tuple[int | Code, ...] = (400, 413)
    if path in _ERRORS:
        operation["security"] = [{name: [] for name in _HEADERS}]
        errors += (*_SIGNED, *_ERRORS[path])
    for status, lines in sorted(_by_status(errors).items()):
        operation["responses"][str(status)] = {
            "description": "; ".join(lines),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
        }
    if path not in _ERRORS:
        _describe_page(operation)


def _describe_page(operation: dict[str, Any]) -> None:
    """Describe the responses that only browsers get: the page and its redirect."""
    page = {"content": {"text/html": {"schema": {"type": "string"}}}}
    for status, text in (
        (401, "the page again: wrong account or password"),
        (403, "the page again: its form was too old"),
        (429, "the page again: too many failed log-ins"),
    ):
        operation["responses"][str(status)] = {"description": text, **page}
    operation["responses"]["302"] = {
        "description": "to the redirect URI, with `#access_token=…&state=…&scope=…&expires_in=…`"
        " or `#error=…&state=…`",
        "headers": {"Location": {"schema": {"type": "string"}}},
    }


def _by_status(errors: tuple[int | Code, ...]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for error in dict.fromkeys(errors):
        if isinstance(error, Code):
            found.setdefault(error.http_status, []).append(f"{int(error)} {error.meaning}")
        else:
            found.setdefault(error, []).append(f"{error} {_WORDS[error]}")
    return found


_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; }
h2 { border-bottom: 1px solid; margin-top: 2.5rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; font-weight: bold; }
td, th { border: 1px solid #888; padding: .3rem .6rem; text-align: left; vertical-align: top; }
code, pre { font-family: ui-monospace, monospace; } pre { overflow-x: auto; }
"""


def page(schema: Mapping[str, Any]) -> str:
    """Render the description as one HTML page without script."""
    operations = [
        (method.upper(), path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    # Each description begins with its section of the open API document.
    operations.sort(key=lambda entry: entry[2]["description"])
    links = "".join(
        f'<li><a href="#{escape(_anchor(m, p))}"><code>{m} {escape(p)}</code></a></li>'
        for m, p, _ in operations
    )
    headers = "".join(
        f"<li><code>{header}</code>: {escape(text)}</li>" for header, text in _HEADERS.values()
    )
    sections = "".join(_section(schema, m, p, o) for m, p, o in operations)
    title = escape(schema["info"]["title"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{_STYLE}</style></head>
<body><main><h1>{title}</h1>
<p>For programs: <a href="/openapi.json">openapi.json</a>. Every request but the log-in page has
three headers:</p><ul>{headers}</ul>
<p>An error is <code>{{"data": null, "code": …, "message": …}}</code>.</p>
<nav aria-label="Endpoints"><ul>{links}</ul></nav>
{sections}</main></body></html>
"""


def _anchor(method: str, path: str) -> str:
    return f"{method}{path}".replace("/", "-").lower()


def _section(schema: Mapping[str, Any], method: str, path: str, operation: Any) -> str:
    inputs = [
        (p["name"], p["in"], p.get("required", False), p["schema"])
        for p in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        model = _resolve(schema, body["schema"])
        required = model.get("required", [])
        inputs += [(n, "body", n in required, s) for n, s in model["properties"].items()]
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{place}</td>"
        f"<td>{'yes' if required else 'no'}</td><td>{escape(_type(schema, kind))}</td></tr>"
        for name, place, required, kind in inputs
    )
    table = (
        "<table><caption>Parameters</caption><tr><th>name</th><th>in</th><th>required</th>"
        f"<th>type</th></tr>{rows}</table>"
        if rows
        else ""
    )
    answers = "".join(_answers(schema, operation))
    return (
        f'<section><h2 id="{escape(_anchor(method, path))}"><code>{method} {escape(path)}</code></h2>'
        f"<p>{escape(operation.get('description', ''))}</p>{table}"
        f"<table><caption>Answers</caption><tr><th>status</th><th>what</th></tr>{answers}</table>"
        "</section>"
    )


def _answers(schema: Mapping[str, Any], operation: Any) -> Iterator[str]:
    for status, response in sorted(operation["responses"].items()):
        text = escape(response["description"])
        content = response.get("content", {}).get("application/json")
        if status.startswith("2") and content is not None:
            text = escape(_resolve(schema, content["schema"])["description"])
            text += f"<pre>{escape(_type(schema, content['schema']))}</pre>"
        yield f"<tr><td>{status}</td><td>{text}</td></tr>"


def _type(schema: Mapping[str, Any], kind: Any, indent: str = "") -> str:
    """Render a type in short; an object has one member per line."""
    if "anyOf" in kind:
        return " or ".join(_type(schema, part, indent) for part in kind["anyOf"])
    model = _resolve(schema, kind)
    if "const" in model or "enum" in model:
        return " or ".join(json.dumps(v) for v in model.get("enum", [model.get("const")]))
    if model.get("type") == "array":
        return f"list of {_type(schema, model['items'], indent)}"
    if "properties" not in model:
        return _plain_type(model)
    inner = indent + "  "
    # The document's examples begin with data.
    names = sorted(model["properties"], key=lambda name: name != "data")
    members = (f"{inner}{n}: {_type(schema, model['properties'][n], inner)}" for n in names)
    return "\n".join(["{", *members, indent + "}"])


def _plain_type(model: Mapping[str, Any]) -> str:
    words = [str(model.get("type", "any"))]
    words += [f"{n} {model[n]}" for n in ("minimum", "maximum", "maxLength") if n in model]
    words += [f"default {model['default']}"] if model.get("default") not in {None, ""} else []
    return ", ".join(words + ([model["description"]] if "description" in model else []))


def _resolve(schema: Mapping[str, Any], kind: Any) -> Any:
    while "$ref" in kind:
        kind = schema["components"]["schemas"][kind["$ref"].rpartition("/")[2]]
    return kind
