"""The open API's error codes (section 2.5.2), and the exceptions that carry them.

The document defines each code's meaning, but HTTP statuses for bind and validate only; the other
statuses are our choice (docs/adr/0004).
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """The codes of the document's table."""

    PROJECT_ID_ERROR = 1204
    DEVICE_UUID_INVALID = 1208
    DEVICE_NOT_EXIST = 1209
    ACCOUNT_NOT_FOUND = 1211
    NOT_BOUND = 1212
    NO_PERMISSION = 1218
    DEVICE_TOKEN_INVALID = 1219
    APP_NOT_BOUND = 1223
    TOKEN_DOES_NOT_MATCH = 1228
    COMMAND_NAME_INVALID = 1305
    METHOD_INVALID = 1308
    QUERY_PARAMS_INVALID = 1401
    PACKAGE_ID_INVALID = 1506
    DEVICE_ID_EMPTY = 1801
    ACCOUNT_HAS_NO_POWER = 1802
    TOO_MANY_DEVICES = 1803
    STRATEGY_INVALID = 1902
    STRATEGY_NOT_FOR_USER = 1905
    OTA_PARAMS_ERROR = 2001
    OTA_RUNNING = 2004
    OTA_TASK_ERROR = 2005
    OTA_VERSION_NOT_NEWER = 2007

    @property
    def meaning(self) -> str:
        """The document's text for the code."""
        return _TABLE[self][1]

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with the code."""
        return _TABLE[self][0]


_TABLE: dict[ErrorCode, tuple[int, str]] = {
    ErrorCode.PROJECT_ID_ERROR: (400, "project id error"),
    ErrorCode.DEVICE_UUID_INVALID: (400, "device uuid invalid"),
    ErrorCode.DEVICE_NOT_EXIST: (404, "device not exist"),
    ErrorCode.ACCOUNT_NOT_FOUND: (404, "accountUuid not found"),
    ErrorCode.NOT_BOUND: (403, "user and devices do not bind"),
    ErrorCode.NO_PERMISSION: (403, "user no permissions"),
    ErrorCode.DEVICE_TOKEN_INVALID: (400, "device token invalid"),
    ErrorCode.APP_NOT_BOUND: (403, "app not bind project"),
    ErrorCode.TOKEN_DOES_NOT_MATCH: (403, "token and device do not match"),
    ErrorCode.COMMAND_NAME_INVALID: (400, "command name invalid"),
    ErrorCode.METHOD_INVALID: (400, "method invalid"),
    ErrorCode.QUERY_PARAMS_INVALID: (400, "data query params invalid"),
    ErrorCode.PACKAGE_ID_INVALID: (404, "package id invalid"),
    ErrorCode.DEVICE_ID_EMPTY: (400, "device id is empty"),
    ErrorCode.ACCOUNT_HAS_NO_POWER: (403, "account has not power to access this device"),
    ErrorCode.TOO_MANY_DEVICES: (400, "the number of device beyond 20"),
    ErrorCode.STRATEGY_INVALID: (400, "lack of strategy id or valid"),
    ErrorCode.STRATEGY_NOT_FOR_USER: (403, "user can not use this strategy id"),
    ErrorCode.OTA_PARAMS_ERROR: (400, "create ota task params is error"),
    ErrorCode.OTA_RUNNING: (409, "device is running to update"),
    ErrorCode.OTA_TASK_ERROR: (404, "task id or device uuid is error"),
    ErrorCode.OTA_VERSION_NOT_NEWER: (409, "device version is higher than package version"),
}


class ApiError(Exception):
    """An error response to an app: a code, an HTTP status and a message."""

    def __init__(self, code: int | str, status: int, message: str) -> None:
        """Create the error; ``code`` is sent as a string, like the document's "0"."""
        super().__init__(message)
        self.code = str(int(code)) if isinstance(code, int) else code
        self.status = status
        self.message = message


class RefusedError(ApiError):
    """An error with a code of the document's table."""

    def __init__(self, code: ErrorCode, detail: str = "") -> None:
        """Build the message from the document's text and ``detail``, the exact reason."""
        message = f"{code.meaning}: {detail}" if detail else code.meaning
        super().__init__(int(code), code.http_status, message)
