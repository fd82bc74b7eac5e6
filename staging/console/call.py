"""One request to the console: its session, its body, and how errors become ``{"error": {code, message}}``.

`staging.console.gate` wraps the handlers that need a log-in; `open_endpoint` those that do not.
"""

from __future__ import annotations

import hmac
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from staging.advise.desk import Desk
from staging.advise.shelf import Shelf
from staging.api.admission import admit
from staging.api.failures import response_to
from staging.bulk_jobs import Jobs
from staging.console.assets import Assets
from staging.console.sessions import Session, Sessions
from staging.console.watchers import Hub, TooManyWatchersError
from staging.console.waveforms import SoundBusyError, Waveforms
from staging.data_dir import DataDir
from staging.errors import (
    AlreadyBoundError,
    AnswerLostError,
    CancelRefusedError,
    DeviceBusyError,
    DeviceOfflineError,
    DeviceSilentError,
    GatewayError,
    NotForVerificationError,
    NotFoundError,
    NotSupportedError,
    NoUpdateError,
    PackageTooLargeError,
    RefusedError,
    ReleaseToolFailedError,
    StagingError,
    StoreBusyError,
    UnfitVersionError,
)
from staging.identity.rights import Refusal
from staging.recognition.service import BusyError
from staging.services import Services
from staging.store.issue import NotHandedOutError
from staging.store.overview import DeviceRow
from wire.errors import FieldError, MissingFieldError, WireError, show
from wire.fields import parse_object
from wire.text import is_printable

COOKIE = "story_console"
VISITOR_COOKIE = "story_visitor"
CSRF_HEADER = "x-csrf-token"
BODY_LIMIT = 64 * 1024
# No id has more digits; a longer number overflows the database's integers.
ID_DIGITS = 18
SAFE_METHODS = {"GET", "HEAD"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Console:
    """The parts that the console's handlers use."""

    services: Services
    data: DataDir
    sessions: Sessions
    hub: Hub
    assets: Assets
    jobs: Jobs
    desk: Desk
    shelf: Shelf
    waveforms: Waveforms = field(default_factory=Waveforms)


class ConsoleError(Exception):
    """An error answer to the page."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        retry_after: float = 0,
        values: Mapping[str, object] | None = None,
    ) -> None:
        """Set the answer's parts.

        Args:
            status: the HTTP status.
            code: a code that the page translates.
            message: a sentence in English.
            retry_after: seconds for the Retry-After header; 0: no header.
            values: what the page's own text of this code names.
        """
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after = retry_after
        self.values = dict(values or {})


@dataclass(frozen=True, slots=True)
class Visit:
    """A request from a client that need not be logged in."""

    request: Request
    console: Console
    session: Session | None

    async def body(self) -> dict[str, Any]:
        """Return the body, a JSON object; raises ConsoleError."""
        if self.request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise ConsoleError(415, "415", "content-type: expected application/json")
        held = bytearray()
        async for chunk in self.request.stream():
            held += chunk
            if len(held) > BODY_LIMIT:
                raise ConsoleError(413, "413", f"body: expected at most {BODY_LIMIT} bytes")
        return parse_object(bytes(held), "body")


@dataclass(slots=True)
class Done:
    """What a handler tells the audit log beyond what the route says."""

    target: str = ""
    device: str = ""
    subject_id: int | None = None
    reads: bool = False
    """Whether it changed nothing in spite of what the route says."""


@dataclass(frozen=True, slots=True)
class Call(Visit):
    """A request from a client that is logged in."""

    session: Session
    device: DeviceRow | None = None
    """The device of the path, where the route is about one."""
    done: Done = field(default_factory=Done)

    @property
    def row(self) -> DeviceRow:
        """The device of the path."""
        if self.device is None:
            raise TypeError("the route is not about a device")
        return self.device

    @property
    def services(self) -> Services:
        """The cloud's parts."""
        return self.console.services

    def param(self, name: str) -> str:
        """Return a path parameter; raises ConsoleError 404 if it is not printable: nothing is named so."""
        text = str(self.request.path_params[name])
        if not is_printable(text):
            raise ConsoleError(404, "not_found", f"{name} {show(text)}: there is none")
        return text

    def query(self, name: str, default: str = "") -> str:
        """Return a query parameter; raises FieldError if it is not printable."""
        text = self.request.query_params.get(name, default)
        if not is_printable(text):
            raise FieldError(name, text, "printable characters")
        return text

    def query_int(self, name: str) -> int | None:
        """Return a query parameter as a number, or None if it is missing; raises FieldError."""
        text = self.query(name)
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS):
            raise FieldError(name, text, "a whole number")
        return int(text)


def open_endpoint(
    work: Callable[[Visit], Awaitable[Response]], *, use: bool = True
) -> Callable[[Request], Any]:
    """Wrap the handler ``work`` for any client; its errors become answers.

    ``use``: whether a request is a use of the session; a page that asks whether it still is does not use it.
    """

    async def serve(request: Request) -> Response:
        console = cast("Console", request.app.state.console)
        session = console.sessions.find(request.cookies.get(COOKIE), use=use)
        if session is not None:
            admit(request)
        try:
            return await work(Visit(request, console, session))
        except ClientDisconnect:
            return Response(status_code=499)  # the client is gone
        except Exception as error:  # noqa: BLE001  # convert logs unexpected ones
            return failure(convert(request, error))

    return serve


def check_csrf(request: Request, expected: str) -> None:
    """Refuse a request that another site may have forged; raises ConsoleError 403."""
    origin = request.headers.get("origin")
    if origin is not None and _host_of(origin) != request.headers.get("host"):
        raise ConsoleError(403, "csrf", "the request comes from another site")
    given = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise ConsoleError(403, "csrf", "the CSRF token is missing or wrong; reload the page")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as http://[
        return ""


def failure(error: ConsoleError) -> JSONResponse:
    """Return an error as a JSON answer."""
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after else None
    value: dict[str, Any] = {"error": {"code": error.code, "message": error.message}}
    if error.values:
        value["error"]["values"] = error.values
    return JSONResponse(value, error.status, headers)


def text_of(
    body: dict[str, Any], name: str, *, limit: int = 255, empty: bool = False, secret: bool = False
) -> str:
    """Return a text member; raises FieldError naming it.

    Args:
        body: the request's JSON object.
        name: the member.
        limit: the maximum number of characters.
        empty: whether blank text is allowed.
        secret: whether to keep the text as it is, unstripped, and to leave it out of the error.
    """
    if name not in body:
        raise MissingFieldError(name, "text")
    value = body[name]
    good = isinstance(value, str) and len(value) <= limit and (value.strip() or empty)
    # A password may have every character, and is kept nowhere.
    if not good or not (secret or is_printable(value)):
        low = 0 if empty else 1
        raise FieldError(name, value, f"{low} to {limit} printable characters", secret=secret)
    text = str(value)
    return text if secret else text.strip()


def texts_of(body: dict[str, Any], name: str) -> list[str]:
    """Return a member that is a list of text, [] if it is missing; raises FieldError."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(
        isinstance(item, str) and is_printable(item) for item in value
    ):
        raise FieldError(name, value, "a list of printable text")
    return [item.strip() for item in value if item.strip()]


def whole_of(body: dict[str, Any], name: str) -> int:
    """Return a member that is a whole number, whose range the caller knows; raises FieldError."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(name, value, "a whole number")
    return value


def id_of(body: dict[str, Any], name: str) -> int:
    """Return a member that is an id; raises FieldError."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**ID_DIGITS:
        raise FieldError(name, value, "an id, a whole number")
    return value


def number_of(call: Call, name: str) -> int:
    """Return a path parameter that is an id; raises ConsoleError 404 if it is too long."""
    text = call.param(name)
    if len(text) > ID_DIGITS:
        raise ConsoleError(404, "not_found", f"{name} {text[:ID_DIGITS]}…: there is none")
    return int(text)


# What a device would refuse a package for (ota.errors.ContentError), by the words of the release tool.
_CHECKS = {
    "broken package": "package_broken",
    "unsafe package": "package_unsafe",
    "wrong release": "package_wrong",
}
_GATEWAY: dict[type[GatewayError], tuple[int, str]] = {
    DeviceOfflineError: (503, "device_offline"),
    AnswerLostError: (504, "answer_lost"),
    DeviceSilentError: (504, "device_silent"),
    DeviceBusyError: (503, "device_busy"),
    CancelRefusedError: (409, "cancel_refused"),
    NotSupportedError: (409, "not_supported"),
}


def _package_refused(reason: str) -> ConsoleError:
    """Return what is told of a package that the release tool does not take."""
    check, _, detail = reason.partition(": ")
    code = _CHECKS.get(check, "package_refused")
    text = f"the package is refused: {reason}"
    return ConsoleError(400, code, text, values={"detail": detail if check in _CHECKS else reason})


def convert(  # noqa: C901, PLR0911, PLR0912  # one line for each kind of error
    request: Request, error: Exception
) -> ConsoleError:
    """Return what a page is told of an error; logs one that is a bug."""
    match error:
        case ConsoleError():
            return error
        case RefusedError() | AlreadyBoundError():
            known = response_to(error)
            return ConsoleError(known.status, known.code, known.message)
        case GatewayError():
            status, code = _GATEWAY.get(type(error), (502, "device_failed"))
            return ConsoleError(status, code, str(error))
        case TooManyWatchersError() | StoreBusyError() | BusyError() | SoundBusyError():
            return ConsoleError(503, "busy", str(error), retry_after=5)
        case PackageTooLargeError():
            return ConsoleError(413, "413", str(error))
        case NotForVerificationError():
            return ConsoleError(403, Refusal.NOT_FOR_VERIFICATION, str(error))
        case NotHandedOutError():
            return ConsoleError(403, "profile_taken", str(error))
        case NoUpdateError():
            return ConsoleError(409, "no_update", str(error))
        case NotFoundError():
            return ConsoleError(404, "not_found", str(error))
        case UnfitVersionError():
            values = {"version": error.version, "newest": error.newest}
            code = "version_taken" if error.newest is None else "version_low"
            return ConsoleError(409, code, str(error), values=values)
        case ReleaseToolFailedError():
            return _package_refused(error.reason)
        case WireError() | StagingError():
            return ConsoleError(400, "refused", str(error))
        case SQLAlchemyError():
            _log.error("%s %s: %s", request.method, request.url.path, error)
            return ConsoleError(503, "busy", "the store cannot do this now", retry_after=5)
        case _:
            _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
            return ConsoleError(500, "bug", "the staging cloud failed; see its log")
