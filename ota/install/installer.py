"""What the updater asks of whatever puts a package in place, and what a package may become."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from ota.errors import ContentError
from ota.launch.boot import Rollback, Trial
from ota.trust.client import Target
from wire.ota import OtaEvent

# Called with (bytes done, bytes in all), from the thread that does the work.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What a package may become on this disk, at most."""

    files: int = 20_000
    bytes: int = 512 * 2**20

    @property
    def read_limit(self) -> int:
        """What the tar itself may have: a header and padding come on top of each file."""
        return self.bytes + 2048 * self.files + 64 * 1024

    def check(self, files: int, size: int) -> None:
        """Raise ContentError when that is too much."""
        if files > self.files or size > self.bytes:
            most = f"{self.files} files or {self.bytes} bytes"
            raise ContentError("package too big", f"more than {most}", OtaEvent.UNPACK_FAIL)


DEFAULT_LIMITS = UnpackLimits()


class Installer(Protocol):
    """`ota.install.slots` is one; whole-OS images will be another.

    All methods block, may be repeated after a crash, and raise OSError when the disk fails.
    """

    def install(
        self, package: Path, target: Target, stop: threading.Event, progress: Progress
    ) -> None:
        """Put a verified package in place; what starts next does not change yet."""

    def activate(self, version: str, transaction: str) -> None:
        """Make an installed version what starts next, on trial for the update ``transaction``."""

    def confirm(self) -> None:
        """End the trial: the active version stays."""

    def roll_back(self, reason: str) -> None:
        """End the trial: the previous version starts next. Without a trial, nothing."""

    def trial(self) -> Trial | None:
        """Return the version that is on trial."""

    def restarts(self) -> int:
        """Return how often this boot of the machine was to end in a restart into what is on trial.

        0 when that is not waited for: nothing is on trial, or the machine did restart, or need not.
        """

    def given_up(self) -> bool:
        """Tell whether what runs was given up already, and only the restart out of it is missing."""

    def record_lost(self) -> bool:
        """Tell whether nothing says any more if what runs is on trial: then it is."""

    def last_rollback(self) -> Rollback | None:
        """Return which version was last given up, and why."""

    def collect(self, running: str) -> None:
        """Remove what neither starts next, nor is gone back to, nor is ``running``."""


@runtime_checkable
class ImageInstaller(Protocol):
    """An installer that takes from the running image what a sparse package lacks."""

    def running_image(self) -> Path:
        """Return the block device that this system runs from; raises OSError, MachineError."""
