"""Whether the microphone may be opened: a switch that is remembered over restarts.

Off is a file, on is none: what the file holds does not matter, so damage to it cannot turn the switch.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

from base.files import fsync_path, write_atomically
from base.threads import in_thread
from machine.errors import UnavailableError

# For people who look into the state folder.
TEXT = b"The microphone is off: story-agent set microphone true\n"


class CloseFirst(Protocol):
    """What holds the microphone."""

    async def __call__(self, *, on: bool) -> None:
        """Close it before returning if it is no longer ``on``."""


class MicrophoneSwitch:
    """The switch. `close_first` is told before anything is stored: closed is closed.

    Attributes:
        close_first: called before the switch is remembered.
    """

    def __init__(self, path: Path) -> None:
        """Remember by the file ``path``, which is looked for at the first use."""
        self._path = path
        self._on: bool | None = None
        self._lock = asyncio.Lock()
        self.close_first: CloseFirst | None = None

    @property
    def is_on(self) -> bool:
        """Whether the microphone may be opened."""
        if self._on is None:
            self._on = not self._path.exists()
        return self._on

    async def set(self, *, on: bool) -> None:
        """Turn the switch, and remember it.

        Raises:
            UnavailableError: the disk does not take it. Off is then off until a restart, which the message
                says; on stays off: nobody listens who was not let.
        """
        async with self._lock:
            if on:
                await self._store(on=True, why="microphone: not stored, and still off")
            self._on = on
            if self.close_first is not None:
                await self.close_first(on=on)
            if not on:
                await self._store(on=False, why="microphone: it is off, but only until a restart")

    async def _store(self, *, on: bool, why: str) -> None:
        try:
            await in_thread(self._remember, on)
        except OSError as error:
            raise UnavailableError(f"{why}: {error.strerror}") from error
        except asyncio.CancelledError:
            if on:  # the order has failed: a restart must find it off, as it is
                with contextlib.suppress(OSError):
                    await in_thread(self._remember, False)
            raise

    def _remember(self, on: bool) -> None:  # noqa: FBT001  # to_thread passes by position
        if not on:
            write_atomically(self._path, TEXT)
        elif self._path.exists():
            self._path.unlink()
            fsync_path(self._path.parent)
