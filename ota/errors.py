"""The errors of an update, one class per cause; the retry policy depends on the class.

`ContentError`: bad content from outside; a retry gets the same bytes. `FetchError`: it did not
arrive; retry. `MachineError`: this machine's disk or set-up. `MisuseError`: a bug in this package.
"""

from __future__ import annotations

from wire.ota import OtaEvent


class OtaError(Exception):
    """The update cannot continue.

    Attributes:
        event: the final event that reports this failure to the cloud.
    """

    event = OtaEvent.DOWNLOAD_FAIL


class ContentError(OtaError):
    """The metadata, package or order is invalid and refused.

    Attributes:
        check: the check that refused it, a short fixed text ("wrong signature").
    """

    def __init__(self, check: str, detail: str, event: OtaEvent = OtaEvent.REJECT) -> None:
        """Build the message from ``check`` and ``detail``; ``event`` reports it to the cloud."""
        super().__init__(f"{check}: {detail}")
        self.check = check
        self.event = event


class ExpiredMetadataError(ContentError):
    """The repository's metadata has expired, by trusted time: an attacker may be freezing it."""

    def __init__(self, detail: str) -> None:
        """Build the message from ``detail``."""
        super().__init__("expired metadata (freeze)", detail, OtaEvent.IMAGE_INVALID)


class FetchError(OtaError):
    """A server could not be reached, returned a temporary error, or broke the connection."""


class NoDeltaError(OtaError):
    """The package must be fetched whole; nothing is wrong with the package itself."""


class MachineError(OtaError):
    """A fault of this machine: its disk, its files or its set-up."""

    event = OtaEvent.WRITE_ERROR


class IncompletePackageError(MachineError):
    """The installer reported a failure that missing bytes explain, if the package has holes.

    A package with holes is completed and installed again; a complete one has failed.
    """


class NoSpaceError(MachineError):
    """The disk has too little room, or ran out of it during the work; `ota.space.no_space` says of what."""


class StoppedError(OtaError):
    """The work was asked to stop; it can be resumed later from what is on disk."""


class CancelledOrderError(OtaError):
    """The order was cancelled before its version was installed."""

    event = OtaEvent.REJECT


class NotNowError(OtaError):
    """No moment at which the machine may restart came within the time limit."""

    event = OtaEvent.REJECT


class MisuseError(RuntimeError):
    """A bug: our own code called this package wrongly."""
