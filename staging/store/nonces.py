"""The used nonces: those of changes are in the store before the work, those of reads a little later.

What a kill or another worker does not know of a nonce lets its request be repeated. A change is
therefore not begun before its nonce is committed; a read that is repeated changes nothing. The
document's signature does not cover what is asked for, so the nonce of a read could be used for a
change: at another worker this is possible for `FLUSH_SECONDS`. A kill does not lose it (`staging.store.nonce_journal`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import deque

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreBusyError, StoreFullError
from staging.store import apps
from staging.store.apps import Nonce
from staging.store.database import Database
from staging.store.nonce_journal import NonceJournal
from staging.times import Clock, Monotonic

# How long a read's nonce may be in memory only: another worker does not know it, and a crash loses
# it (docs/adr/0039). A commit takes a few milliseconds, so this costs a busy cloud little.
FLUSH_SECONDS = 0.05
# Seconds until a store that did not take them is tried again.
RETRY_SECONDS = 0.5
# A nonce stays in memory this long after use, so that look-ups begun before its commit see it.
OVERLAP_SECONDS = 60.0
# Two minutes at 1,000 requests a second; a store that fails for longer stops the API.
MEMORY_LIMIT = 120_000
# Old nonces that one save drops from memory: a millisecond of the loop, and ten times what can come between two saves.
DROPPED_AT_ONCE = 2000

_log = logging.getLogger(__name__)


class Nonces:
    """Records used nonces in memory and in the store, which keeps them durably."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        monotonic: Monotonic = time.monotonic,
        journal: NonceJournal | None = None,
    ) -> None:
        """Create an empty record; ``database`` has the older nonces.

        ``clock`` gives ms for the store, ``monotonic`` seconds for what is in memory.
        ``journal`` keeps what is not in the store yet from a kill; `restore` reads it.
        """
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._journal = journal
        # Texts and numbers alone: Python's collector does not look at such a dict at all. With a tuple for a key a full
        # collection goes through each of them, twice, while requests wait.
        self._recent: dict[str, float] = {}
        self._unsaved: deque[Nonce] = deque()
        self._filled = asyncio.Event()
        self._is_late = self._is_full = False

    def use(self, app_id: int, nonce: str) -> bool:
        """Record a read's nonce; returns False if it was used recently.

        Raises:
            StoreBusyError: too many nonces wait for the store.
        """
        used = self._note(app_id, nonce)
        if used is not None:
            self._unsaved.append(used)
            if self._journal is not None:
                self._journal.note(used)
        return used is not None

    async def claim(self, app_id: int, nonce: str) -> bool:
        """Record a change's nonce durably; returns False if it was used, also by another worker.

        Raises:
            StoreBusyError: it cannot be stored, so the change must not be made.
        """
        used = self._note(app_id, nonce)
        if used is None:
            return False
        try:
            return await self._database.write(apps.claim_nonce, used)
        except StoreFullError:
            # Control works on a full disk. Its nonce is in memory, and in the store as soon as there is room
            # (docs/adr/0054); the look-up before has found no other use of it.
            self._unsaved.append(used)
            if self._journal is not None:
                self._journal.note(used)
            self._filled.set()
            return True

    async def restore(self) -> None:
        """Store what a process that was killed had not stored; called before the first request."""
        if self._journal is None:
            return
        try:
            left = await asyncio.to_thread(self._journal.load)
        except OSError as error:
            _log.error("used nonces are kept in memory alone: %s", error)
            return
        for nonce in left:
            self._recent[_key(nonce)] = self._monotonic()
        self._unsaved += left
        await self.save()

    def _note(self, app_id: int, nonce: str) -> Nonce | None:
        """Note a nonce in memory, without an await in between; None: it is there already."""
        used = Nonce(app_id, nonce, self._clock())
        key = _key(used)
        if key in self._recent:
            return None
        if len(self._recent) >= MEMORY_LIMIT:
            if not self._is_full:
                raise StoreBusyError("used nonces cannot be kept at the moment")
            self._forget_oldest()
        self._recent[key] = self._monotonic()
        self._filled.set()
        return used

    def _forget_oldest(self) -> None:
        """Forget a nonce that a full disk has not taken: otherwise nobody could ask anything any more."""
        oldest = next(iter(self._recent))
        del self._recent[oldest]
        if self._unsaved and _key(self._unsaved[0]) == oldest:
            self._unsaved.popleft()

    async def save(self) -> None:
        """Write new nonces to the store, and drop older stored ones from memory."""
        saving, self._unsaved = self._unsaved, deque()
        if saving:
            if self._journal is not None:
                self._journal.begin_saving()
            try:
                await self._database.write(apps.remember_nonces, saving)
            except (StoreBusyError, SQLAlchemyError) as error:
                if not self._is_late:
                    _log.warning("used nonces are kept in memory for now: %s", type(error).__name__)
                self._unsaved = saving + self._unsaved
                self._is_late = True
                self._is_full = isinstance(error, StoreFullError)
                self._filled.set()
                return
            if self._journal is not None:
                self._journal.saved(all_of_them=not self._unsaved)
        self._is_late = self._is_full = False
        self._drop_old()

    def _drop_old(self) -> None:
        """Drop stored nonces from memory, by a clock that nobody sets."""
        old = self._monotonic() - OVERLAP_SECONDS
        # They are in order of use, and most are not old: what has to be looked at is little. After a pause it may be
        # all of a busy minute: the saves that follow drop the rest.
        some = itertools.islice(self._recent, DROPPED_AT_ONCE)
        outdated = list(itertools.takewhile(lambda key: self._recent[key] < old, some))
        if not outdated:
            return
        waiting = {_key(nonce) for nonce in self._unsaved}
        for key in outdated:
            if key not in waiting:
                del self._recent[key]

    async def keep_saving(self) -> None:
        """Save what comes within `FLUSH_SECONDS`, until cancelled; a busy store gets more time."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(RETRY_SECONDS if self._is_late else FLUSH_SECONDS)
            self._filled.clear()
            await self.save()


def _key(nonce: Nonce) -> str:
    return f"{nonce.app_id} {nonce.nonce}"
