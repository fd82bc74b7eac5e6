"""Which web pages may call the open API from a browser (CORS): those of the app whose key the request has.

A browser asks first (``OPTIONS``), without the key, so there the origin must be one of some app's; the request itself must
come from one of its own app's, or it is refused before anything is done. Programs send no ``Origin``, and are not asked; nor is
a page of this cloud, the console's explorer, which browsers let call it anyway.
The consent page is not for other pages, and no answer lets a browser send cookies.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from staging.errors import StoreBusyError
from staging.services import Services
from staging.store import apps
from staging.times import Monotonic

METHODS = "GET, POST, PUT, DELETE"
HEADERS = "X-IOT-APP, X-IOT-Signature, X-IOT-Token, Content-Type"
# Headers of an answer that a page may read besides its body.
EXPOSED = "X-Story-Receipt, Retry-After"
# Seconds for which a browser need not ask again.
MAX_AGE = "600"
# Seconds until an origin that was registered or removed meanwhile counts.
FRESH_SECONDS = 2.0
PREFIX, NOT_FOR_PAGES = "/v1/", "/v1/account/authorize"


@dataclass(slots=True)
class _Origins:
    """The origins by the key of their app, as they were a moment ago."""

    read_at: float = float("-inf")
    by_key: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Cors:
    """The application behind it is asked by pages of registered origins alone."""

    def __init__(self, app: ASGIApp, services: Services, clock: Monotonic = time.monotonic) -> None:
        self._app, self._services, self._clock = app, services, clock
        self._origins = _Origins()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(PREFIX) or path == NOT_FOR_PAGES:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or _host_of(origin) == headers.get("host"):
            await self._app(scope, receive, send)
            return
        by_key = await self._read()
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(origin, by_key)(scope, receive, send)
        elif origin not in by_key.get(headers.get("x-iot-app", ""), ()):
            await _refuse(origin, any(origin in each for each in by_key.values()))(
                scope, receive, send
            )
        else:
            await self._app(scope, receive, _with_origin(send, origin))

    async def _read(self) -> Mapping[str, frozenset[str]]:
        if self._clock() - self._origins.read_at >= FRESH_SECONDS:
            known = self._origins.by_key
            # A store that cannot be asked now answers what is asked of it with an error anyway.
            with contextlib.suppress(StoreBusyError, SQLAlchemyError):
                known = await self._services.database.read(apps.origins)
            self._origins = _Origins(self._clock(), known)
        return self._origins.by_key


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as http://[
        return ""


def _preflight(origin: str, by_key: Mapping[str, frozenset[str]]) -> Response:
    if not any(origin in each for each in by_key.values()):
        return Response(status_code=403, headers={"Vary": "Origin"})
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": MAX_AGE,
            "Vary": "Origin",
        },
    )


def _refuse(origin: str, known: bool) -> Response:  # noqa: FBT001  # one fact
    """Return the refusal; a page of some app may read why."""
    message = "Origin: this web page is none of the app's (story-cloud app origins)"
    headers = {"Vary": "Origin"}
    if known:
        headers["Access-Control-Allow-Origin"] = origin
    return JSONResponse({"data": None, "code": "403", "message": message}, 403, headers)


def _with_origin(send: Send, origin: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return sending
