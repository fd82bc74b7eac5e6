"""The open API's envelope around responses and errors, and the outermost error handling.

Every error is sent as ``{"data": null, "code": …, "message": …}``, never as a traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from staging.api.failures import CODED_BY_NUMBER, ApiError, response_to
from staging.api.params import validation_error
from staging.errors import (
    AlreadyBoundError,
    AnswerLostError,
    DeviceBusyError,
    DeviceOfflineError,
    DeviceRejectedError,
    DeviceSilentError,
    GatewayError,
    NoValueError,
    RefusedError,
    StoreBusyError,
)
from wire.errors import FieldError, WireError

OK = "0"
# The path prefix of the open API's endpoints.
PREFIX = "/v1"
# The document's longest request body has twenty uuids.
BODY_LIMIT = 16 * 1024

_GATEWAY_STATUS: dict[type[GatewayError], int] = {
    DeviceOfflineError: 503,
    AnswerLostError: 504,
    DeviceBusyError: 503,
    DeviceSilentError: 504,
    DeviceRejectedError: 502,
}

_log = logging.getLogger(__name__)


def answer(data: object, *, total: int | None = None, status: int = 200) -> JSONResponse:
    """Wrap data as in the document's examples; ``total`` only where they show one."""
    body: dict[str, Any] = {"data": data, "code": OK, "message": ""}
    if total is not None:
        body["total"] = total
    return JSONResponse(body, status)


def failure(error: ApiError, path: str = "") -> JSONResponse:
    """Wrap an error of the endpoint ``path`` in the envelope; the code has the form of the endpoint's own ``code``."""
    code = int(error.code) if path.removeprefix(PREFIX) in CODED_BY_NUMBER else error.code
    return JSONResponse({"data": None, "code": code, "message": error.message}, error.status)


def install_handlers(app: Starlette) -> None:
    """Install handlers that send every kind of error in the envelope."""
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    for kind, convert in _CONVERSIONS:
        app.add_exception_handler(kind, _handler(convert))
    app.add_exception_handler(Exception, _handler(_from_bug))


def answer_to(error: Exception, path: str) -> JSONResponse:
    """Return the answer to an error that the endpoint ``path`` raised; raises one that is a bug."""
    for kind, convert in _CONVERSIONS:
        if isinstance(error, kind):
            return failure(convert(error), path)
    raise error


def _handler(convert: Any) -> Any:
    async def handle(request: Request, error: Exception) -> JSONResponse:
        response = failure(convert(error), request.url.path)
        if isinstance(error, HTTPException):  # what is allowed, with 405
            response.headers.update(error.headers or {})
        return response

    return handle


def _as_is(error: ApiError) -> ApiError:
    return error


async def _refuse_parameters(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise TypeError(f"{type(error).__name__} is no mistake in the parameters")
    path = request.url.path.removeprefix(PREFIX)
    return failure(validation_error(path, error.errors()), path)


def refuse_field(error: FieldError, path: str) -> JSONResponse:
    """Wrap an error in a parameter that has no code of the document's."""
    return failure(ApiError("400", 400, str(error)), path)


def _from_http(error: HTTPException) -> ApiError:
    # FastAPI's, of a body in another encoding or with thousands of brackets.
    if isinstance(error.__cause__, (UnicodeDecodeError, RecursionError)):
        return ApiError("400", 400, "body: not JSON in UTF-8 (a JSON object expected)")
    return ApiError(str(error.status_code), error.status_code, str(error.detail))


def _from_gateway(error: GatewayError) -> ApiError:
    status = _GATEWAY_STATUS.get(type(error), 502)
    return ApiError(str(status), status, str(error))


def _from_missing_value(error: NoValueError) -> ApiError:
    return ApiError("400", 400, str(error))


def _from_busy_store(error: StoreBusyError) -> ApiError:
    return ApiError("503", 503, str(error))


def _from_wire(error: WireError) -> ApiError:
    # Invalid data from a device, also if stored; requests are validated before this point.
    return ApiError("502", 502, f"the device's own data is not usable: {error}")


def _from_bug(_error: Exception) -> ApiError:
    return ApiError("500", 500, "the staging cloud failed; see its log")


_CONVERSIONS: tuple[tuple[type[Exception], Callable[[Any], ApiError]], ...] = (
    (ApiError, _as_is),
    (RefusedError, response_to),
    (NoValueError, _from_missing_value),
    (AlreadyBoundError, response_to),
    (HTTPException, _from_http),
    (GatewayError, _from_gateway),
    (StoreBusyError, _from_busy_store),
    (WireError, _from_wire),
)


class Boundary:
    """The outermost application: refuses large bodies, and turns unexpected errors into a 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if _announced_length(scope) > BODY_LIMIT:
                refusal = ApiError("413", 413, f"expected at most {BODY_LIMIT} bytes")
                response = failure(refusal, scope["path"])
                await response(scope, receive, watch)
                return
            await self._app(scope, _limited(receive), watch)
        except (
            HTTPException
        ) as error:  # of a body that is read before the routes, or while an answer goes out
            if not started:
                await failure(_from_http(error), scope["path"])(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # logged here, and not shown to the app
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if not started:
                await failure(_from_bug(error), scope["path"])(scope, receive, send)


def _announced_length(scope: Scope) -> int:
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0


def _limited(receive: Receive) -> Receive:
    """Limit a body without Content-Length; raises HTTPException 413."""
    left = BODY_LIMIT

    async def limited() -> Any:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"expected at most {BODY_LIMIT} bytes")
        return message

    return limited
