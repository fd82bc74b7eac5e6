"""Requests that no page and no app sends: for `tools.attack.words`, for ``make fuzz`` and for the tests."""

from __future__ import annotations

import json
import random
from typing import Any

from starlette.routing import Route

from staging.console.app import routes

ODD_TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\u202e", "\n", "\x1b[2J", "x" * 300, "x" * 5000, "é", "\U0001f43b", "..", "../..",
    "a/b", "%", "%00", "' OR 1=1 --", "<script>", "null", "1e400", "-1", "NaN", "9" * 400,
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    *ODD_TEXTS, None, True, False, 0, -1, 1.5, 10**18, 10**19, 10**30, 1e308, [], {}, [[]], [None], ["\x00"],
    ["\ud800"], [1], {"a": "b"}, {"\x00": 1}, {"range": [1, 2]}, ["x" * 300],
)  # fmt: skip
# The names that any of the console's forms or bodies has.
MEMBERS = (
    "user", "password", "name", "token", "method", "content", "type", "label", "description", "pattern", "template",
    "testDevices", "count", "productId", "version", "from", "batches", "packageId", "strategyId", "uuid", "action",
    "text", "scopes", "redirectUris", "package", "apkSignature", "bundleId", "role",
)  # fmt: skip
GOOD: dict[str, tuple[Any, ...]] = {
    "method": ("GET", "PUT"), "type": ("web", "android", "int", "string", "PASSIVE"), "action": ("start", "cancel"),
    "name": ("volume", "x"), "template": ("story-machine",), "count": (1,), "testDevices": (1,),
}  # fmt: skip
QUERY = ("q", "before", "after", "key", "hours", "productId", "version", "description")
BODIES = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b'{"user": "\\ud800", "password": "x"}',
    b'{"user": "\\u0000", "password": "x"}', b'{"user": ["a"], "password": {}}', b"[" * 5000, b'{"a":' * 3000,
    b'{"user": ' + b"9" * 5000 + b"}", b'{"user": "' + b"x" * 9000 + b'", "password": "y"}', b'{"user": NaN}',
)  # fmt: skip
ROUTES = tuple(
    (method, route.path)
    for route in routes()
    if isinstance(route, Route) and route.path.startswith("/api/")
    for method in sorted((route.methods or set()) - {"HEAD"})
    # What ends the session that asks, and streams, which have no end.
    if (method, route.path) != ("DELETE", "/api/session") and "live" not in route.path
)


def odd_path(template: str, chance: random.Random, uuid: str) -> str:
    """Return a path of a route with odd parameters and an odd query, quoted as a client does it."""
    pieces = []
    for piece in template.split("/"):
        if "{" not in piece:
            pieces.append(piece)
        elif "uuid" in piece and chance.random() < 0.5:
            pieces.append(uuid)
        elif "start" in piece:
            pieces.append(f"{_number(chance)}-{_number(chance)}.wav")
        else:
            pieces.append(_number(chance) if chance.random() < 0.7 else _quoted(chance))
    query = "&".join(
        f"{name}={_quoted(chance)}" for name in chance.sample(QUERY, chance.randrange(4))
    )
    return f"/console{'/'.join(pieces)}" + (f"?{query}" if query else "")


def odd_body(chance: random.Random) -> bytes:
    """Return a body: mostly JSON objects with names that are known, and odd values."""
    if chance.random() < 0.15:
        return chance.choice(BODIES)
    members = chance.sample(MEMBERS, chance.randrange(1, 12))
    value = {name: chance.choice([*GOOD.get(name, ()), *ODD_VALUES]) for name in members}
    return json.dumps(value).encode()


def _number(chance: random.Random) -> str:
    return chance.choice(["0", "1", "2", "9" * 18, "9" * 19, "9" * 5000, "-1", "1.5", "00"])


def _quoted(chance: random.Random) -> str:
    """Return a text as a URL has it; half a surrogate as the three bytes that nobody may send."""
    text = chance.choice(ODD_TEXTS)[:400]
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass")) or "x"
