"""Requests, answers and routes of the local HTTP API: what its pages need, and no more.

An application is asked as ASGI says (https://asgi.readthedocs.io, HTTP only), so that tests ask it without a
socket; `agent.local.server` asks it for a connection. Frameworks that do more cost an idle machine 6 MB for years (ADR 0073).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Whose answers have no body (RFC 9110 sections 15.3.5 and 15.4.5).
_WITHOUT_BODY = frozenset({204, 304})
_PLACE = re.compile(r"\{(\w+)(:path)?\}")

_log = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """The client went away before its request's body was complete."""


class Client(NamedTuple):
    """Who asks over a network or a port; over a Unix socket there is none."""

    host: str
    port: int


class Request:
    """One request; its body is read by `stream`."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """Wrap ASGI's ``scope`` and ``receive``."""
        self.scope = scope
        self._receive = receive

    @property
    def method(self) -> str:
        """The method, in capitals as it came."""
        return str(self.scope["method"])

    @property
    def client(self) -> Client | None:
        """Who asks; None over a Unix socket."""
        found = self.scope.get("client")
        return None if found is None else Client(*found)

    @property
    def path_params(self) -> Mapping[str, str]:
        """What stands in the places of the route's path."""
        return self.scope["path_params"]  # type: ignore[no-any-return]  # `Route.match` makes it

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Names in small letters; of a name that comes twice the first."""
        return headers_of(self.scope)

    @cached_property
    def query_params(self) -> Mapping[str, str]:
        """Of a name that comes twice the last."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by their names (RFC 6265 section 4.2.1)."""
        pairs = (each.partition("=") for each in self.headers.get("cookie", "").split(";"))
        return {name.strip(): value.strip() for name, found, value in pairs if found}

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces as they come; raises ClientGoneError."""
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            if message["body"]:
                yield message["body"]
            if not message.get("more_body", False):
                return


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers by their names in small letters; of a name that comes twice the first."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return headers


class Response:
    """One answer, whole in memory."""

    def __init__(
        self,
        content: bytes | str = b"",
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        """Answer with ``content``; text is sent as UTF-8, and its ``media_type`` says so."""
        self.body = content.encode() if isinstance(content, str) else content
        self.status_code = status_code
        self.headers = dict(headers or {})
        self._cookies: list[str] = []
        if media_type is not None:
            is_bare = media_type.startswith("text/") and "charset=" not in media_type
            self.headers["Content-Type"] = media_type + "; charset=utf-8" * is_bare

    def set_cookie(self, name: str, value: str, *, max_age: int, secure: bool) -> None:
        """Set a cookie of the whole site that no script reads and no other site's page sends.

        Args:
            name: a token of RFC 6265.
            value: letters, digits, ``-`` and ``_``.
            max_age: seconds; 0 deletes it.
            secure: whether it is sent by TLS alone.
        """
        told = f"{name}={value}; HttpOnly; Max-Age={max_age}; Path=/; SameSite=strict"
        self._cookies.append(told + "; Secure" * secure)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it as ASGI says; HEAD's answer has no body."""
        headers = [
            *self.headers.items(), *(("Set-Cookie", cookie) for cookie in self._cookies),
        ]  # fmt: skip
        if self.status_code not in _WITHOUT_BODY:
            headers.append(("Content-Length", str(len(self.body))))
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": self.status_code, "headers": raw})
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})


class JSONResponse(Response):
    """An answer in JSON."""

    def __init__(
        self, content: object, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with ``content``, which JSON must know."""
        super().__init__(self.render(content), status_code, headers, "application/json")

    def render(self, content: object) -> bytes:
        """Return the body."""
        return json.dumps(
            content, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()


Endpoint = Callable[[Request], Awaitable[Response]]


class Route:
    """A path and its methods; ``{name}`` stands for one part of it, ``{name:path}`` for the rest."""

    def __init__(self, path: str, endpoint: Endpoint, methods: Iterable[str]) -> None:
        """Serve ``endpoint``; whoever may GET may HEAD."""
        pattern, end = "", 0
        for place in _PLACE.finditer(path):
            name, is_rest = place.groups()
            pattern += re.escape(path[end : place.start()])
            pattern += f"(?P<{name}>{'.*' if is_rest else '[^/]+'})"
            end = place.end()
        self._pattern = re.compile(pattern + re.escape(path[end:]))
        self.endpoint = endpoint
        self.methods = frozenset(methods) | ({"HEAD"} if "GET" in methods else frozenset())

    def match(self, path: str) -> dict[str, str] | None:
        """Return what stands in the places, None if the path is another one."""
        found = self._pattern.fullmatch(path)
        return None if found is None else found.groupdict()


class Site:
    """The routes as one application; the first that has path and method answers."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Serve ``routes``."""
        self._routes = tuple(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a fault of ours is a 500, and is in the log."""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except Exception:  # noqa: BLE001  # a fault of ours costs one request
            _log.exception("local API: %s %s failed", request.method, scope["path"][:80])
            answer = Response("Internal Server Error\n", 500, media_type="text/plain")
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        allowed: set[str] = set()
        for route in self._routes:
            places = route.match(request.scope["path"])
            if places is None:
                continue
            if request.method in route.methods:
                request.scope["path_params"] = places
                return await route.endpoint(request)
            allowed |= route.methods
        if allowed:
            more = {"Allow": ", ".join(sorted(allowed))}
            return Response("Method Not Allowed", 405, more, "text/plain")
        return Response("Not Found", 404, media_type="text/plain")
