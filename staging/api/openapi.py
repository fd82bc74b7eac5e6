"""The OpenAPI description of the open API, served as ``/openapi.json`` and readable at ``/docs``.

FastAPI provides parameters and responses; each route declares its errors (`staging.api.failures`).
This module adds the three headers. The page is our own, without a form to try requests, because a form could not sign them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from staging.api.auth import read_headers
from staging.api.envelope import PREFIX
from wire.fields import INT64_MAX

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


def describe(app: FastAPI, routers: Iterable[APIRouter]) -> dict[str, Any]:
    """Return the description of the routers' routes; the first call creates it."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schema["components"]["securitySchemes"] = {
            name: {"type": "apiKey", "in": "header", "name": header, "description": text}
            for name, (header, text) in _HEADERS.items()
        }
        for route in routes_of(routers):
            for method in route.methods or ():
                operation = schema["paths"][PREFIX + route.path][method.lower()]
                _complete(operation, signed=is_signed(route))
        schema["components"]["schemas"].pop("HTTPValidationError", None)
        schema["components"]["schemas"].pop("ValidationError", None)
        _make_whole(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _make_whole(part: Any) -> None:
    """Write the ranges of integers as integers: FastAPI makes some of them floats, which round the largest up by one."""
    if isinstance(part, dict):
        for name in ("minimum", "maximum"):
            if part.get("type") == "integer" and isinstance(part.get(name), float):
                part[name] = min(int(part[name]), INT64_MAX)
        part = list(part.values())
    for inner in part if isinstance(part, list) else ():
        _make_whole(inner)


def routes_of(routers: Iterable[APIRouter]) -> list[APIRoute]:
    """Return the routers' routes; their paths are without the prefix ``/v1``."""
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def is_signed(route: APIRoute) -> bool:
    """Return whether a route's requests have the three headers."""
    return _depends_on(route.dependant, read_headers)


def _depends_on(dependant: Dependant, wanted: object) -> bool:
    return any(
        inner.call is wanted or _depends_on(inner, wanted) for inner in dependant.dependencies
    )


def _complete(operation: dict[str, Any], *, signed: bool) -> None:
    """Add an endpoint's headers; where FastAPI documents 422, we send 400."""
    operation["responses"].pop("422", None)
    if signed:
        operation["security"] = [{name: [] for name in _HEADERS}]


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
<p>For programs: <a href="/openapi.json">openapi.json</a>, and the clients
<a href="/client.js">client.js</a> and <a href="/client.py">client.py</a>. Every request but the log-in page has
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
