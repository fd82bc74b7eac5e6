"""The nonces of reads that are not in the store yet, in a file: a kill of the process does not lose them.

Each is a line that is appended without a sync: some microseconds, where a commit would take longer than the whole
request. What the system has taken survives the process (not a power cut). Two files take turns, so that one can be
emptied once its nonces are in the store, while the other takes new ones.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path

from staging.store.apps import Nonce

MODE = 0o600
# More lines than a store that fails for a while can leave (`staging.store.nonces.MEMORY_LIMIT`).
LINES_LIMIT = 250_000

_log = logging.getLogger(__name__)


class NonceJournal:
    """Two files in a folder; ``who`` is whose they are, of several processes."""

    def __init__(self, folder: Path, who: str) -> None:
        """Use these files, which need not exist; `load` opens them."""
        self._paths = [folder / f".nonces-{who}-{letter}" for letter in "ab"]
        self._files: list[int] = []
        self._current = 0
        self._other_is_full = False
        self._failed = False

    def load(self) -> list[Nonce]:
        """Open the files, and return what a process before has left in them."""
        found: list[Nonce] = []
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                lines = path.read_bytes().split(b"\n")[:LINES_LIMIT]
                found += [nonce for line in lines if (nonce := _parse(line)) is not None]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._files = [os.open(path, flags, MODE) for path in self._paths]
        return found

    def note(self, nonce: Nonce) -> None:
        """Append one; a disk that takes nothing leaves it in memory alone, as is told once."""
        if not self._files:
            return
        line = json.dumps([nonce.app_id, nonce.nonce, nonce.use_time]).encode() + b"\n"
        try:
            os.write(self._files[self._current], line)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.warning("used nonces are kept in memory alone: %s", error.strerror)
            self._failed = True

    def begin_saving(self) -> None:
        """Let new ones go to the other file: those of this one are being stored."""
        if self._files and not self._other_is_full:
            self._current = 1 - self._current
            self._other_is_full = True

    def saved(self, *, all_of_them: bool) -> None:
        """Empty what is in the store: the other file, and both if nothing new has come."""
        if not self._files:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._files[1 - self._current], 0)
            if all_of_them:
                os.ftruncate(self._files[self._current], 0)
        self._other_is_full = False

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            os.close(file)
        self._files = []


def _parse(line: bytes) -> Nonce | None:
    """Return a line's nonce, None for one that a kill has cut off."""
    try:
        app_id, nonce, use_time = json.loads(line)
    except (ValueError, TypeError):
        return None
    if not (isinstance(app_id, int) and isinstance(nonce, str) and isinstance(use_time, int)):
        return None
    return Nonce(app_id, nonce, use_time)
