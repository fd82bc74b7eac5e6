"""What can go wrong in the staging cloud, split by whose business it is to act.

`StagingError` is for the person at the command line, `GatewayError` says what became of a device;
errors that an app is answered with live in `staging.api.errors`.
"""

from __future__ import annotations


class StagingError(Exception):
    """A command or the server cannot go on; the message is one line for a person."""


class NotFoundError(StagingError):
    """A thing that was named does not exist."""


class NoServerError(StagingError):
    """A command needs the running server, and there is none."""


class NoUpdateError(StagingError):
    """A device has no update under way."""


class StoreBusyError(StagingError):
    """The writer's queue is full; the same request may work in a moment."""


class GatewayError(Exception):
    """A device could not be asked."""


class DeviceOfflineError(GatewayError):
    """The device has no registered connection, or lost it before it answered."""


class DeviceSilentError(GatewayError):
    """The device is connected and did not answer within the deadline."""


class DeviceRejectedError(GatewayError):
    """The device reset the exchange instead of answering it."""


class CancelRefusedError(GatewayError):
    """The device does not give its update up; the message has its answer."""


class DeviceBusyError(GatewayError):
    """Too many requests already wait for this device."""
