"""The outbox's file through all that can happen to it: damage, a full or read-only disk, another file.

A damaged file is rebuilt of what can be read in it and opened again; a disk that takes nothing is
reported as `DiskError` and tried again with the next write. The log gets one line when a trouble begins
and one when it is over, however often it is met in between. What repairs a file is imported when one is
damaged: each start of the agent would pay for it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.link.outbox_file import OutboxFile, fault_before_opening
from base.sqlite import is_damage

if TYPE_CHECKING:
    from agent.link.outbox_salvage import Salvaged

# Seconds between tries to open a file that could not be opened: each reads all of it.
REOPEN_SECONDS = 60.0
# How often a file is rebuilt before its card is given up for `REOPEN_SECONDS`.
REBUILDS_MAX = 3

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class DiskError(Exception):
    """The disk does not take or give reports now; the text says why."""


class Owner(Protocol):
    """What has the file's rows in mind."""

    def opened(self, file: OutboxFile) -> None:
        """Begin anew with what waits in a file that has just been opened; raises sqlite3.Error."""

    def unwritable(self, salvaged: Salvaged) -> None:
        """Go on without a file, with what was read of it."""

    def lost(self, salvaged: Salvaged, fault: str) -> None:
        """Hear of a file that was rebuilt because of ``fault``."""

    @property
    def last_id(self) -> int:
        """The highest id that was given, as far as known."""


class Disk:
    """One path, and the file there while it can be used."""

    def __init__(self, path: Path, owner: Owner, clock: Callable[[], float]) -> None:
        """Use ``path``; ``clock`` is monotonic, in seconds."""
        self._path = path
        self._owner = owner
        self._clock = clock
        self._file: OutboxFile | None = None
        self._was_open = False
        self._next_try = float("-inf")
        self._is_read_only = False
        self._rebuilt: list[float] = []
        self.trouble: str | None = None
        """Why the disk takes nothing now, in words."""

    @property
    def is_open(self) -> bool:
        """Whether there is a file to read."""
        return self._file is not None

    def open(self) -> None:
        """Open the file, rebuilt if it is damaged; raises DiskError, which the caller must tell."""
        self._next_try = self._clock() + REOPEN_SECONDS
        try:
            self._file = self._open_sound()
            self._owner.opened(self._file)
        except (sqlite3.Error, OSError) as error:
            self.close()
            if not self._was_open:
                self._was_open = True  # what is there is read once; then memory has it
                self._give_up()
            raise self._failed(error, is_said=False) from error
        self._was_open = True

    def _open_sound(self) -> OutboxFile:
        if self._path.with_name(self._path.name + ".new").exists():
            from agent.link.outbox_salvage import finish_swap  # noqa: PLC0415  # see the head

            finish_swap(self._path)
        fault = fault_before_opening(self._path)
        if fault is None:
            try:
                return OutboxFile(self._path)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                fault = str(error)
        self._rebuild(fault)
        return OutboxFile(self._path)

    def _give_up(self) -> None:
        """Let memory have what can be read of a file that cannot be used."""
        from agent.link.outbox_salvage import read_rows  # noqa: PLC0415  # see the head

        self._owner.unwritable(read_rows(self._path))

    def _rebuild(self, fault: str) -> None:
        from agent.link.outbox_salvage import rebuild  # noqa: PLC0415  # see the head

        now = self._clock()
        self._rebuilt = [at for at in self._rebuilt if now - at < REOPEN_SECONDS]
        if len(self._rebuilt) >= REBUILDS_MAX:
            raise OSError(f"damaged again and again ({fault})")
        self._rebuilt.append(now)
        self._owner.lost(rebuild(self._path, self._owner.last_id), fault)

    def read(self, work: Callable[[OutboxFile], _T]) -> _T:
        """Run ``work`` on the file; one that is damaged is rebuilt first. Raises DiskError."""
        return self._do(work)

    def write(self, work: Callable[[OutboxFile], _T]) -> _T:
        """Run ``work``, which writes, likewise; raises DiskError."""
        done = self._do(work)
        if self.trouble is not None:
            _log.info("outbox %s: the disk takes reports again", self._path)
            self.trouble = None
        return done

    def make_ready(self) -> None:
        """Open a file again that could not be opened, or that something has replaced.

        Raises:
            DiskError: there is none to write to.
        """
        if self._clock() >= self._next_try and (self._file is None or self._is_read_only):
            if self._file is not None:  # SQLite opened it to be read only, and does not look again
                self.close()
                self._was_open = self._is_read_only = False
            self.open()
        if self._file is not None and not self._file.is_in_place():
            self._take_place_again()

    def _do(self, work: Callable[[OutboxFile], _T]) -> _T:
        try:
            return work(self._opened_file())
        except (sqlite3.Error, OSError) as error:
            if not (isinstance(error, sqlite3.Error) and is_damage(error)):
                raise self._failed(error) from error
            self._reopen(str(error))
        try:
            return work(self._opened_file())
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _opened_file(self) -> OutboxFile:
        if self._file is None:
            raise DiskError(self.trouble or "not open")
        return self._file

    def _reopen(self, fault: str) -> None:
        """Rebuild the open file and open it again; raises DiskError."""
        try:
            self._rebuild(fault)
        except (sqlite3.Error, OSError) as error:
            self._give_up()
            self.close()
            raise self._failed(error) from error
        self.close()
        self.open()

    def _take_place_again(self) -> None:
        """Put the file back where something else is now, or nothing; raises DiskError."""
        from agent.link.outbox_salvage import Salvaged, from_file, replace  # noqa: PLC0415  # see the head

        file = self._opened_file()
        _log.error("outbox %s was removed or replaced: it is written again", self._path)
        try:
            salvaged = from_file(file)
        except sqlite3.Error:
            salvaged = Salvaged()
        self.close()
        try:
            replace(self._path, salvaged)
        except (sqlite3.Error, OSError) as error:
            self._owner.unwritable(salvaged)
            raise self._failed(error) from error
        self.open()

    def _failed(self, error: Exception, *, is_said: bool = True) -> DiskError:
        code = getattr(error, "sqlite_errorcode", 0)
        self._is_read_only |= code & 0xFF == sqlite3.SQLITE_READONLY
        text = str(error) or type(error).__name__
        if self.trouble is None and is_said:
            _log.error(
                "outbox %s: %s; reports are kept in memory until the disk takes them: free some"
                " space, or check the card and who owns the folder", self._path, text,
            )  # fmt: skip
        self.trouble = text
        return DiskError(text)

    def close(self) -> None:
        """Close the file, if one is open."""
        if self._file is not None:
            self._file.close()
            self._file = None
