"""The open API's errors: the HTTP status of each, and the errors that a route declares.

The document defines the meaning of its codes, but HTTP statuses for bind and validate only; the
other statuses are our choice (docs/adr/0004).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from staging.api import schema
from staging.errors import AlreadyBoundError, ErrorCode, RefusedError

_STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.PROJECT_ID_ERROR: 400,
    ErrorCode.DEVICE_UUID_INVALID: 400,
    ErrorCode.DEVICE_NOT_EXIST: 404,
    ErrorCode.ACCOUNT_NOT_FOUND: 404,
    ErrorCode.NOT_BOUND: 403,
    ErrorCode.NO_PERMISSION: 403,
    ErrorCode.DEVICE_TOKEN_INVALID: 400,
    ErrorCode.APP_NOT_BOUND: 403,
    ErrorCode.TOKEN_DOES_NOT_MATCH: 403,
    ErrorCode.COMMAND_NAME_INVALID: 400,
    ErrorCode.METHOD_INVALID: 400,
    ErrorCode.QUERY_PARAMS_INVALID: 400,
    ErrorCode.PACKAGE_ID_INVALID: 404,
    ErrorCode.DEVICE_ID_EMPTY: 400,
    ErrorCode.ACCOUNT_HAS_NO_POWER: 403,
    ErrorCode.TOO_MANY_DEVICES: 400,
    ErrorCode.STRATEGY_INVALID: 400,
    ErrorCode.STRATEGY_NOT_FOR_USER: 403,
    ErrorCode.OTA_PARAMS_ERROR: 400,
    ErrorCode.OTA_RUNNING: 409,
    ErrorCode.OTA_TASK_ERROR: 404,
    ErrorCode.OTA_VERSION_NOT_NEWER: 409,
}
# What a status means where the document has no code for the error.
_MEANINGS: Mapping[int, str] = {
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
    504: "sent, no answer: the device did not answer in time, or went offline before it did",
}
_ANY_ROUTE = (400, 413)
# Errors of every signed request: headers, token, account, scope, and the cloud's own failures.
_SIGNED = (401, 404, 426, ErrorCode.ACCOUNT_NOT_FOUND, ErrorCode.NO_PERMISSION, 500, 503)

DEVICE = (ErrorCode.DEVICE_UUID_INVALID, ErrorCode.DEVICE_NOT_EXIST, ErrorCode.APP_NOT_BOUND)
"""The errors of a request that names a device."""
BOUND_DEVICE = (*DEVICE, ErrorCode.NOT_BOUND)
"""The errors of a ★ request: the device must be bound to the caller."""

CODED_BY_NUMBER = frozenset({"/device/unbind", "/device/bind/list"})
"""The endpoints whose ``code`` is a number in the document, below ``/v1``."""

Responses = dict[int | str, dict[str, Any]]


class ApiError(Exception):
    """An error response to an app: a code, an HTTP status and a message."""

    def __init__(self, code: str, status: int, message: str) -> None:
        """Create the error; ``code`` is a text, like the document's "0"."""
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message


def response_to(error: RefusedError | AlreadyBoundError) -> ApiError:
    """Return a business error with its HTTP status."""
    if isinstance(error, RefusedError):
        return ApiError(str(int(error.code)), _STATUS[error.code], str(error))
    return ApiError("406", 406, str(error))


def errors(*specific: ErrorCode | int, by_number: bool = False) -> Responses:
    """Declare a signed route's errors, for ``responses=`` of its decorator.

    Args:
        *specific: document codes, or HTTP statuses, that only some routes have. Those of every
            signed request are added.
        by_number: the route is one of `CODED_BY_NUMBER`.
    """
    model = schema.FailureByNumber if by_number else schema.Failure
    return _responses((*_ANY_ROUTE, *_SIGNED, *specific), {"model": model})


def page_errors(pages: Mapping[int, str]) -> Responses:
    """Declare the errors of a route that shows a page.

    ``pages`` has the statuses that come as a page, with their descriptions; the others come as JSON.
    """
    failure = {"schema": {"$ref": "#/components/schemas/Failure"}}
    page = {"text/html": {"schema": {"type": "string"}}}
    shown: Responses = {
        status: {"description": text, "content": page} for status, text in pages.items()
    }
    return _responses(_ANY_ROUTE, {"content": {"application/json": failure}}) | shown


def _responses(errors: Iterable[ErrorCode | int], body: Mapping[str, Any]) -> Responses:
    lines: dict[int, list[str]] = {}
    for error in dict.fromkeys(errors):
        status, meaning = _describe(error)
        lines.setdefault(status, []).append(f"{int(error)} {meaning}")
    return {status: {"description": "; ".join(lines[status]), **body} for status in sorted(lines)}


def _describe(error: ErrorCode | int) -> tuple[int, str]:
    if isinstance(error, ErrorCode):
        return _STATUS[error], error.meaning
    return error, _MEANINGS[error]
