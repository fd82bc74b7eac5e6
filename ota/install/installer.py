"""The interface of an installer, and the limits on an unpacked package."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from ota.errors import ContentError
from ota.launch.boot import Rollback, Trial
from ota.trust.target import Target
from wire.ota import OtaEvent
from wire.records import dataclass

# The transaction of the trial of an older version, to which a machine goes back from a confirmed one that keeps dying:
# no cloud gives such a one.
LEFT = "left"

# Called with (bytes done, total bytes), from the thread that does the work.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """The largest number of files and bytes that a package may unpack to."""

    files: int = 20_000
    bytes: int = 512 * 2**20

    @property
    def read_limit(self) -> int:
        """The largest size of the tar stream in bytes: each file adds a header and padding."""
        return self.bytes + 2048 * self.files + 64 * 1024

    def check(self, files: int, size: int) -> None:
        """Raise ContentError if the counts exceed the limits."""
        if files > self.files or size > self.bytes:
            most = f"{self.files} files or {self.bytes} bytes"
            raise ContentError("package too big", f"more than {most}", OtaEvent.UNPACK_FAIL)


DEFAULT_LIMITS = UnpackLimits()


@dataclass(frozen=True, slots=True)
class Standing:
    """What an installer's record says at a start of the agent; read once, before anything changes.

    Attributes:
        trial: the version that is on trial.
        last_rollback: the version that was last rolled back, and why.
        restarts: how often this boot has requested a machine restart into the version on trial; 0
            if none is pending: nothing is on trial, or the machine has restarted or need not.
        given_up: whether the running version was rolled back and only the restart is pending.
        record_lost: whether the record is lost; the running version then counts as on trial.
    """

    trial: Trial | None = None
    last_rollback: Rollback | None = None
    restarts: int = 0
    given_up: bool = False
    record_lost: bool = False


class Installer(Protocol):
    """Installs, activates and rolls back versions; see `ota.install.slots` (releases), `ota.install.rauc` (images).

    All methods block, may be repeated after a crash, and raise OSError if the disk fails.
    """

    @property
    def needs_reboot(self) -> bool:
        """Whether the machine must restart to change versions; if not, a new process is enough."""

    def install(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        """Install a verified package; the version that starts next does not change yet.

        Raises:
            IncompletePackageError: it failed, perhaps for bytes that the package lacks.
        """

    def activate(self, version: str, transaction: str) -> None:
        """Make an installed version start next, on trial for the update ``transaction``."""

    def confirm(self) -> None:
        """End the trial and keep the active version."""

    def roll_back(self, reason: str) -> None:
        """End the trial and make the previous version start next; without a trial, do nothing."""

    def standing(self) -> Standing:
        """Return what the record says about the trial and the running version."""

    def examine(self, version: str) -> list[str]:
        """Return lines that tell why ``version``, which was left, does not start; [] if nothing does."""

    def collect(self, running: str) -> None:
        """Remove every version except the next one, the one to roll back to, and ``running``."""


@runtime_checkable
class ImageInstaller(Protocol):
    """An installer that reads the blocks missing from a sparse package from the running image."""

    def running_image(self) -> Path:
        """Return the block device that this system runs from; raises OSError, MachineError."""
