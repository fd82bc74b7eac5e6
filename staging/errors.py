"""Exceptions of the staging cloud, grouped by who has to act.

`StagingError` is for the user of the command line, `GatewayError` is a failed request to a device.
The errors that are sent to apps are in `staging.codes`.
"""

from __future__ import annotations


class StagingError(Exception):
    """A command or the server cannot continue; the message is one line for the user."""


class NotFoundError(StagingError):
    """The named object does not exist."""


class NoServerError(StagingError):
    """A command needs a running server, and there is none."""


class NoUpdateError(StagingError):
    """A device has no update in progress."""


class StoreBusyError(StagingError):
    """The store cannot take the request now; a retry may succeed."""


class GatewayError(Exception):
    """A request to a device failed."""


class DeviceOfflineError(GatewayError):
    """The device has no registered connection, or lost it before it answered."""


class DeviceSilentError(GatewayError):
    """The device is connected and did not answer within the deadline."""


class DeviceRejectedError(GatewayError):
    """The device reset the exchange instead of answering it."""


class CancelRefusedError(GatewayError):
    """The device refused to cancel its update; the message has its answer."""


class DeviceBusyError(GatewayError):
    """Too many requests already wait for this device."""
