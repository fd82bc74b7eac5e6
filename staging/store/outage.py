"""What keeps the store from working, told once when it begins and once when it is over.

A full disk stops writes alone: reads go on. A lost connection stops everything, and nothing is tried for a
moment after it, so that a thousand waiting requests are refused at once. A thousand refusals are one line of
the log at the beginning and one at the end, with their number.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import PendingRollbackError, SQLAlchemyError

from staging.errors import StoreBusyError, StoreDamagedError, StoreFullError
from staging.store import engine, room
from staging.store.engine import Trouble
from staging.times import Monotonic

# No new attempt for this long after a failed connection: waiting work is refused at once instead of
# spending a connection timeout each, one after the other.
RETRY_SECONDS = 0.5
# The same for writes to a full disk: each attempt costs a transaction, and space comes by somebody's hand.
FULL_RETRY_SECONDS = 1.0
# Trouble is over when nothing has failed for so long: a full disk still takes a small write now and then.
QUIET_SECONDS = 10.0

_BEGINS = {
    Trouble.GONE: "%s: %s; requests and reports are refused until it is back",
    Trouble.FULL: "%s: cannot be written: %s: until then reports are refused and come "
    "later, and changes are refused; devices stay connected, reads and control go on",
    Trouble.BUSY: "%s: %s; what does not fit is refused and may be tried again",
    Trouble.DAMAGED: "%s: is damaged: %s; `story-cloud check` says where, and `story-cloud restore FILE` puts a "
    "backup back",
}
_ENDS = {
    Trouble.GONE: "%s: is back after %.0f s; %d requests were refused",
    Trouble.FULL: "%s: takes writes again after %.0f s; %d were refused",
    Trouble.BUSY: "%s: takes everything again after %.0f s; %d requests were refused",
}

# What people are told in Chinese, before the driver's own words.
_ZH = {
    Trouble.GONE: "数据库连不上，恢复之前请求都会被拒绝",
    Trouble.FULL: "数据库的磁盘写不进去，腾出空间后再试",
    Trouble.BUSY: "数据库正忙，请再试一次",
    Trouble.DAMAGED: "数据库损坏，story-cloud check 会说出哪里",
}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Spell:
    """One time of trouble: its beginning, its last failure and what the driver said of it, and how much was refused."""

    since: float
    last: float
    reason: str
    refused: int = 0


class Outage:
    """Turns the driver's errors into `StoreBusyError`, and keeps count of what they stop."""

    def __init__(self, shown: str, monotonic: Monotonic = time.monotonic) -> None:
        """Speak of the store as ``shown``; ``monotonic`` counts seconds."""
        self._shown = shown
        self._monotonic = monotonic
        self._spells: dict[Trouble, _Spell] = {}
        self._lock = threading.Lock()

    @contextmanager
    def watch(self, *, writes: bool = False) -> Iterator[None]:
        """Refuse work during an outage; convert transient errors of the work.

        Raises:
            StoreBusyError: the store cannot do the work now.
        """
        self._check(Trouble.GONE, RETRY_SECONDS)
        if writes:
            self._check(Trouble.FULL, FULL_RETRY_SECONDS)
        try:
            yield
        except PendingRollbackError as error:
            raise self._error(Trouble.GONE, "the connection was lost") from error
        except SQLAlchemyError as error:
            trouble = engine.trouble_of(error)
            if trouble is None:
                raise
            raise self.note(trouble, engine.reason(error)) from error
        self._works(writes=writes)

    def note(self, trouble: Trouble, reason: str) -> StoreBusyError:
        """Count a refusal, and return the error for whoever is refused."""
        now = self._monotonic()
        with self._lock:
            spell = self._spells.get(trouble)
            if spell is None:
                spell = self._spells[trouble] = _Spell(now, now, reason)
                _log.error(_BEGINS[trouble], self._shown, reason + self._remedy(trouble))
            spell.last, spell.reason = now, reason
            spell.refused += 1
        return self._error(trouble, reason)

    def _error(self, trouble: Trouble, reason: str) -> StoreBusyError:
        made = _ERRORS.get(trouble, StoreBusyError)
        return made(f"{self._shown}: {reason}", f"{self._shown}：{_ZH[trouble]}（{reason}）")

    def _remedy(self, trouble: Trouble) -> str:
        """Return what a file's disk has left and what to do: SQLite names neither bytes nor inodes."""
        if trouble is not Trouble.FULL:
            return ""
        folder = Path(self._shown).parent
        if room.is_read_only(folder):
            return " (its disk is read-only); look whether it fails, and mount it for writing"
        try:
            return f" ({room.left(folder)}); free space on its disk"
        except OSError:  # a PostgreSQL has its disk elsewhere
            return "; free space on its disk"

    def _check(self, trouble: Trouble, seconds: float) -> None:
        spell = self._spells.get(trouble)
        if spell is None or self._monotonic() - spell.last >= seconds:
            return
        spell.refused += 1
        raise self._error(trouble, spell.reason)

    def _works(self, *, writes: bool) -> None:
        """Note that something was done; trouble that was long ago is then over."""
        if not self._spells:
            return
        over = [Trouble.GONE, Trouble.BUSY, *([Trouble.FULL] if writes else [])]
        now = self._monotonic()
        with self._lock:
            for trouble in over:
                spell = self._spells.get(trouble)
                if spell is not None and now - spell.last >= QUIET_SECONDS:
                    del self._spells[trouble]
                    _log.warning(_ENDS[trouble], self._shown, now - spell.since, spell.refused)


_ERRORS: dict[Trouble, type[StoreBusyError]] = {
    Trouble.FULL: StoreFullError,
    Trouble.DAMAGED: StoreDamagedError,
}
