"""The used nonces: recorded in memory at once, and written to the store a little later."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreBusyError
from staging.store import apps
from staging.store.apps import Nonce
from staging.store.database import Database
from staging.times import Clock

# How long a nonce may be in memory only; a crash loses at most this much (docs/adr/0004).
FLUSH_SECONDS = 0.5
# A nonce stays in memory this long after use, so that look-ups begun before its commit see it.
OVERLAP_MS = 60_000
# Two minutes at 1,000 requests a second; a store that fails for longer stops the API.
MEMORY_LIMIT = 120_000

_log = logging.getLogger(__name__)


class Nonces:
    """Records used nonces in memory, and writes them to the store a little later.

    A request does not wait for the commit of its nonce; the store keeps nonces durably.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Create an empty record; ``database`` has the older nonces, ``clock`` gives ms."""
        self._database = database
        self._clock = clock
        self._recent: dict[tuple[int, str], Nonce] = {}
        self._unsaved: list[Nonce] = []

    def use(self, app_id: int, nonce: str) -> bool:
        """Record a nonce; returns False if it was used recently.

        Raises:
            StoreBusyError: too many nonces wait for the store.
        """
        if (app_id, nonce) in self._recent:
            return False
        if len(self._recent) >= MEMORY_LIMIT:
            raise StoreBusyError("used nonces cannot be kept at the moment")
        used = Nonce(app_id, nonce, self._clock())
        self._recent[app_id, nonce] = used
        self._unsaved.append(used)
        return True

    async def save(self) -> None:
        """Write new nonces to the store, and drop older stored ones from memory."""
        saving, self._unsaved = self._unsaved, []
        if saving:
            try:
                await self._database.write(apps.remember_nonces, saving)
            except (StoreBusyError, SQLAlchemyError) as error:
                _log.warning("used nonces are kept in memory for now: %s", type(error).__name__)
                self._unsaved = saving + self._unsaved
                return
        old = self._clock() - OVERLAP_MS
        waiting = {(nonce.app_id, nonce.nonce) for nonce in self._unsaved}
        for key, nonce in list(self._recent.items()):
            if nonce.use_time >= old:
                break  # they are in order of use
            if key not in waiting:
                del self._recent[key]

    async def keep_saving(self) -> None:
        """Save every `FLUSH_SECONDS`, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.save()
