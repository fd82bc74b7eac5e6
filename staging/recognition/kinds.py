"""What became of a sentence, in one word: what the answer to the child and the lists show.

The words are part of an outcome's JSON (docs/recognition.md); whoever answers a child says another
thing for each of them.
"""

from __future__ import annotations

from enum import StrEnum

from staging.errors import DeviceOfflineError, DeviceRejectedError, DeviceSilentError
from staging.recognition.actions import ActionError, Step
from staging.recognition.titles import NoTitleError
from wire.errors import WireError

# Of CoAP: the device has no such data point, or it cannot be set.
_NOT_SUPPORTED_CODES = frozenset({"4.04", "4.05"})


class Kind(StrEnum):
    """What became of a sentence."""

    DONE = "done"
    NOT_UNDERSTOOD = "not_understood"
    """Nobody spoke, it was not heard well enough, or there is no command in it."""
    NOT_FOUND = "not_found"
    """No title is near enough, or several are; the outcome's ``nearest`` has up to two."""
    REFUSED_BY_DEVICE = "refused_by_device"
    """The device answered, and did not do it; the last step has its answer."""
    DEVICE_OFFLINE = "device_offline"
    """The device is not connected or did not answer; nobody knows whether it did it."""
    NOT_SUPPORTED = "not_supported"
    """This device cannot do that: no such data point, or a value beyond its range."""
    FAILED = "failed"
    """The cloud's own fault: the recogniser, the store, a broken transmission."""


def kind_of_failure(error: Exception) -> Kind:
    """Return what a sentence became that ended with ``error``."""
    if isinstance(error, NoTitleError):
        return Kind.NOT_FOUND
    if isinstance(error, DeviceOfflineError | DeviceSilentError):
        return Kind.DEVICE_OFFLINE
    if isinstance(error, DeviceRejectedError):
        return Kind.REFUSED_BY_DEVICE
    if isinstance(error, ActionError | WireError):
        return Kind.NOT_SUPPORTED
    return Kind.FAILED


def kind_of_answer(last: Step) -> Kind:
    """Return what a sentence became whose last request was answered so."""
    if last.succeeded:
        return Kind.DONE
    refused = last.code not in _NOT_SUPPORTED_CODES
    return Kind.REFUSED_BY_DEVICE if refused else Kind.NOT_SUPPORTED
