"""Exceptions of the staging cloud, grouped by who has to act.

`StagingError` is for the user of the command line, `RefusedError` for an app or a person at the
console, `GatewayError` is a failed request to a device. The HTTP statuses of these errors are in
`staging.api.failures`.
"""

from __future__ import annotations

import logging
import math
from enum import IntEnum

from wire.errors import MissingFieldError


class StagingError(Exception):
    """A command or the server cannot continue; the message is one line for the user."""


class StoreFaultError(StagingError):
    """What lies in a store's place cannot be used; the message says so in English, and what to do.

    Attributes:
        zh: the same in Chinese.
    """

    def __init__(self, zh: str, en: str) -> None:
        """Take the message in both languages."""
        super().__init__(en)
        self.zh = zh


class NotFoundError(StagingError):
    """The named object does not exist."""


class NoServerError(StagingError):
    """A command needs a running server, and there is none."""


class NoUpdateError(StagingError):
    """A device has no update in progress."""


class NotForVerificationError(StagingError):
    """A version that is not verified does not run on this device: it is in a family's hands."""

    def __init__(self, uuid: str) -> None:
        """Say which devices it runs on."""
        super().__init__(
            f"device {uuid}: it is in use; versions are verified on devices under development "
            "(version 0) and on your own"
        )


class UnfitVersionError(StagingError):
    """A version's number is taken, or not higher than the product's newest; ``newest`` is that, or None."""

    def __init__(self, version: str, newest: str | None) -> None:
        """Say which it is."""
        taken = "there is a package already"
        reason = taken if newest is None else f"expected one higher than the newest, {newest}"
        super().__init__(f"version {version}: {reason}")
        self.version, self.newest = version, newest


class ReleaseToolFailedError(StagingError):
    """The release tool does not take a package.

    Attributes:
        reason: why, without the tool's name and without a path of this machine.
    """

    def __init__(self, command: str, reason: str, shown: str | None = None) -> None:
        """Build the message from the tool's words; ``shown`` are these for people elsewhere."""
        super().__init__(f"story-release {command}: {reason}")
        self.reason = reason if shown is None else shown


class PackageTooLargeError(StagingError):
    """An uploaded package is larger than allowed, or than the disk has room for."""


class StoreBusyError(StagingError):
    """The store cannot take the request now; a retry may succeed.

    Attributes:
        zh: the same in Chinese.
    """

    def __init__(self, en: str, zh: str = "") -> None:
        """Take the message in both languages; without a Chinese one it is the English one."""
        super().__init__(en)
        self.zh = zh or en


class StoreFullError(StoreBusyError):
    """The store cannot be written, since its disk is full; reads work."""


class StoreDamagedError(StoreBusyError):
    """The store's file is damaged where the request looked."""


def level_of(error: Exception) -> int:
    """Return the level at which whoever tries again logs an error: of its own trouble the store tells, once (`staging.store.outage`)."""
    return logging.DEBUG if isinstance(error, StoreBusyError) else logging.WARNING


class ThrottledError(StagingError):
    """Somebody tries too often; ``wait`` is when they may again, in seconds."""

    def __init__(self, text: str, wait: float) -> None:
        """Build the message from a text and the wait."""
        super().__init__(f"{text}; wait {math.ceil(wait)} s")
        self.wait = wait


class ErrorCode(IntEnum):
    """The business errors of the open API document's table (section 2.5.2), by its numbers."""

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
        """The document's text for the code, which API, console and command line show."""
        return _MEANINGS[self]


_MEANINGS: dict[ErrorCode, str] = {
    ErrorCode.PROJECT_ID_ERROR: "project id error",
    ErrorCode.DEVICE_UUID_INVALID: "device uuid invalid",
    ErrorCode.DEVICE_NOT_EXIST: "device not exist",
    ErrorCode.ACCOUNT_NOT_FOUND: "accountUuid not found",
    ErrorCode.NOT_BOUND: "user and devices do not bind",
    ErrorCode.NO_PERMISSION: "user no permissions",
    ErrorCode.DEVICE_TOKEN_INVALID: "device token invalid",
    ErrorCode.APP_NOT_BOUND: "app not bind project",
    ErrorCode.TOKEN_DOES_NOT_MATCH: "token and device do not match",
    ErrorCode.COMMAND_NAME_INVALID: "command name invalid",
    ErrorCode.METHOD_INVALID: "method invalid",
    ErrorCode.QUERY_PARAMS_INVALID: "data query params invalid",
    ErrorCode.PACKAGE_ID_INVALID: "package id invalid",
    ErrorCode.DEVICE_ID_EMPTY: "device id is empty",
    ErrorCode.ACCOUNT_HAS_NO_POWER: "account has not power to access this device",
    ErrorCode.TOO_MANY_DEVICES: "the number of device beyond 20",
    ErrorCode.STRATEGY_INVALID: "lack of strategy id or valid",
    ErrorCode.STRATEGY_NOT_FOR_USER: "user can not use this strategy id",
    ErrorCode.OTA_PARAMS_ERROR: "create ota task params is error",
    ErrorCode.OTA_RUNNING: "device is running to update",
    ErrorCode.OTA_TASK_ERROR: "task id or device uuid is error",
    ErrorCode.OTA_VERSION_NOT_NEWER: "device version is higher than package version",
}


class RefusedError(StagingError):
    """A rule of the open API document refuses a request; ``code`` says which."""

    def __init__(self, code: ErrorCode, detail: str = "") -> None:
        """Build the message from the document's text and ``detail``, the exact reason."""
        super().__init__(f"{code.meaning}: {detail}" if detail else code.meaning)
        self.code = code


class AlreadyBoundError(StagingError):
    """The device is bound to an account already; the document has no code for it, only a text."""

    def __init__(self) -> None:
        """Take the document's text (section 2.1)."""
        super().__init__("device has been bind!")


class NoValueError(StagingError):
    """A request to set a data point has no value."""

    def __init__(self) -> None:
        """Name the member that lacks, as the open API calls it (3.4)."""
        super().__init__(str(MissingFieldError("content", "the value to set")))


class GatewayError(Exception):
    """A request to a device failed."""


class DeviceOfflineError(GatewayError):
    """The device has no registered connection, so nothing was sent."""


class AnswerLostError(DeviceOfflineError):
    """The request was sent, and the connection ended before the answer: it may have been done."""


class DeviceSilentError(GatewayError):
    """The device is connected and did not answer within the deadline."""


class DeviceRejectedError(GatewayError):
    """The device reset the exchange instead of answering it."""


class CancelRefusedError(GatewayError):
    """The device refused to cancel its update; the message has its answer."""


class NotSupportedError(GatewayError):
    """The device does not say that it can do this."""


class DeviceBusyError(GatewayError):
    """Too many requests already wait for this device."""
