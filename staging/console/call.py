"""One request to the console: who sends it, and what every one of them must pass.

`endpoint` is the only way in: it asks for the log-in, checks the CSRF token of whatever changes
something, reads bounded bodies, and turns errors into one shape, ``{"error": {code, message}}``.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from staging.codes import ApiError
from staging.console.assets import Assets
from staging.console.live import Hub, TooManyWatchersError
from staging.console.sessions import Session, Sessions, Throttle
from staging.data_dir import DataDir
from staging.errors import (
    CancelRefusedError,
    DeviceBusyError,
    DeviceOfflineError,
    DeviceSilentError,
    GatewayError,
    NotFoundError,
    NoUpdateError,
    StagingError,
    StoreBusyError,
)
from staging.recognition.service import BusyError
from staging.services import Services
from wire.errors import FieldError, MissingFieldError, WireError

COOKIE = "story_console"
VISITOR_COOKIE = "story_visitor"
CSRF_HEADER = "x-csrf-token"
BODY_LIMIT = 64 * 1024
# More would not be an id of any database.
ID_DIGITS = 18
SAFE_METHODS = {"GET", "HEAD"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Console:
    """What the console works with."""

    services: Services
    data: DataDir
    sessions: Sessions
    throttle: Throttle
    hub: Hub
    assets: Assets


class ConsoleError(Exception):
    """What the page is answered with: an HTTP status, a code that it translates, a sentence."""

    def __init__(self, status: int, code: str, message: str, retry_after: float = 0) -> None:
        """Keep the parts; ``retry_after`` in seconds."""
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who may not be logged in."""

    request: Request
    console: Console
    session: Session | None

    async def body(self) -> dict[str, Any]:
        """Return the JSON object that came; raises ConsoleError."""
        if self.request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise ConsoleError(415, "415", "content-type: expected application/json")
        held = bytearray()
        async for chunk in self.request.stream():
            held += chunk
            if len(held) > BODY_LIMIT:
                raise ConsoleError(413, "413", f"body: expected at most {BODY_LIMIT} bytes")
        try:
            value = json.loads(bytes(held))
        except (ValueError, RecursionError) as error:
            raise ConsoleError(400, "400", "body: not JSON") from error
        if not isinstance(value, dict):
            raise ConsoleError(400, "400", "body: expected a JSON object")
        return cast("dict[str, Any]", value)


@dataclass(frozen=True, slots=True)
class Call(Visit):
    """A request of somebody who is logged in."""

    session: Session

    @property
    def services(self) -> Services:
        """The cloud's parts."""
        return self.console.services

    def param(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        return self.request.query_params.get(name, default)

    def query_int(self, name: str) -> int | None:
        """Return a query parameter that is a number or not there; raises FieldError."""
        text = self.query(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise FieldError(name, text, "a whole number")
        return int(text)


def endpoint(work: Callable[[Call], Awaitable[Response]]) -> Callable[[Request], Any]:
    """Serve ``work`` to those who are logged in."""

    async def checked(visit: Visit) -> Response:
        if visit.session is None:
            raise ConsoleError(401, "login_required", "log in first")
        if visit.request.method not in SAFE_METHODS:
            check_csrf(visit.request, visit.session.csrf)
        return await work(Call(visit.request, visit.console, visit.session))

    return open_endpoint(checked)


def open_endpoint(work: Callable[[Visit], Awaitable[Response]]) -> Callable[[Request], Any]:
    """Serve ``work`` to anybody; errors become answers."""

    async def serve(request: Request) -> Response:
        console = cast("Console", request.app.state.console)
        session = console.sessions.find(request.cookies.get(COOKIE))
        try:
            return await work(Visit(request, console, session))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except Exception as error:  # noqa: BLE001  # sorted below; what nobody expected is logged
            return failure(_convert(request, error))

    return serve


def check_csrf(request: Request, expected: str) -> None:
    """Refuse a request that another site may have caused; raises ConsoleError 403."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ConsoleError(403, "csrf", "the request comes from another site")
    given = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise ConsoleError(403, "csrf", "the CSRF token is missing or wrong; reload the page")


def failure(error: ConsoleError) -> JSONResponse:
    """Render an error."""
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after else None
    value = {"error": {"code": error.code, "message": error.message}}
    return JSONResponse(value, error.status, headers)


def text_of(body: dict[str, Any], name: str, *, limit: int = 255, empty: bool = False) -> str:
    """Return a member that is text; raises FieldError naming it."""
    if name not in body:
        raise MissingFieldError(name, "text")
    value = body[name]
    secret = "pass" in name.lower() or "token" in name.lower()
    if not isinstance(value, str) or len(value) > limit or not (value.strip() or empty):
        raise FieldError(name, value, f"1 to {limit} characters", secret=secret)
    return value.strip() if not secret else value


def texts_of(body: dict[str, Any], name: str) -> list[str]:
    """Return a member that is a list of text; missing: []."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FieldError(name, value, "a list of text")
    return [item.strip() for item in value if item.strip()]


def id_of(body: dict[str, Any], name: str) -> int:
    """Return a member that is the id of something."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FieldError(name, value, "an id, a whole number")
    return value


def number_of(call: Call, name: str) -> int:
    """Return a number of the path that can be an id; raises ConsoleError 404."""
    text = call.param(name)
    if len(text) > ID_DIGITS:
        raise ConsoleError(404, "not_found", f"{name} {text[:ID_DIGITS]}…: there is none")
    return int(text)


_GATEWAY: dict[type[GatewayError], tuple[int, str]] = {
    DeviceOfflineError: (503, "device_offline"),
    DeviceSilentError: (504, "device_silent"),
    DeviceBusyError: (503, "device_busy"),
    CancelRefusedError: (409, "cancel_refused"),
}


def _convert(  # noqa: PLR0911  # one line a kind of error
    request: Request, error: Exception
) -> ConsoleError:
    match error:
        case ConsoleError():
            return error
        case ApiError():
            return ConsoleError(error.status, error.code, error.message)
        case GatewayError():
            status, code = _GATEWAY.get(type(error), (502, "device_failed"))
            return ConsoleError(status, code, str(error))
        case TooManyWatchersError() | StoreBusyError() | BusyError():
            return ConsoleError(503, "busy", str(error), retry_after=5)
        case NoUpdateError():
            return ConsoleError(409, "no_update", str(error))
        case NotFoundError():
            return ConsoleError(404, "not_found", str(error))
        case WireError() | StagingError():
            return ConsoleError(400, "refused", str(error))
        case SQLAlchemyError():
            _log.error("%s %s: %s", request.method, request.url.path, error)
            return ConsoleError(503, "busy", "the store cannot do this now", retry_after=5)
        case _:
            _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
            return ConsoleError(500, "bug", "the staging cloud failed; see its log")
