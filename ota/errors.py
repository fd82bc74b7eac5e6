"""What can go wrong in an update, split by whose fault it is; the retry policy reads the class.

`ContentError`: the other side's content is bad, the same bytes again are pointless. `TransportError`:
it did not arrive, try again. `MachineError`: this machine's disk or set-up. `MisuseError`: our own bug.
"""

from __future__ import annotations

from wire.ota import OtaEvent


class OtaError(Exception):
    """An update cannot go on.

    Attributes:
        event: the final event that reports this failure to the cloud.
    """

    event = OtaEvent.DOWNLOAD_FAIL


class ContentError(OtaError):
    """Metadata, package or order is not what it must be: refused.

    Attributes:
        check: the check that refused it, in a few fixed words ("wrong signature").
    """

    def __init__(self, check: str, detail: str, event: OtaEvent = OtaEvent.REJECT) -> None:
        """Name the check, then what was found; ``event`` is how it is reported."""
        super().__init__(f"{check}: {detail}")
        self.check = check
        self.event = event


class TransportError(OtaError):
    """A server could not be reached, answered with a passing error, or broke off."""


class MachineError(OtaError):
    """This machine cannot do its part: its disk, its files or its set-up."""

    event = OtaEvent.WRITE_ERROR


class NoSpaceError(MachineError):
    """The disk has, or had during the work, too little room."""

    def __init__(self, needs: int, has: int) -> None:
        """Say how many bytes are needed and how many are free."""
        super().__init__(f"no space: needs {needs} bytes, has {has}")


class StoppedError(OtaError):
    """The work was asked to stop; what is on disk lets it go on later."""


class CancelledOrderError(OtaError):
    """The order was taken back before its version was installed."""

    event = OtaEvent.REJECT


class NotNowError(OtaError):
    """The moment that the machine's owner allows for it did not come."""

    event = OtaEvent.REJECT


class MisuseError(RuntimeError):
    """Our own code broke the rules of this package: a bug, not an event of the world."""
