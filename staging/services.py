"""What the endpoints work with, and the keeper of used nonces."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreBusyError
from staging.gateway.gateway import Gateway
from staging.recognition.service import Recognition
from staging.store import Database, apps
from staging.store.apps import Nonce
from staging.times import Clock

# How long a nonce may be in memory only; a crash forgets at most this much (docs/adr/0004).
FLUSH_SECONDS = 0.5
# A nonce stays in memory this long after its commit, so that no look-up that began before misses it.
OVERLAP_MS = 60_000
# Two minutes at 1,000 requests a second; a store that fails for longer stops the API.
MEMORY_LIMIT = 120_000

_log = logging.getLogger(__name__)


class Nonces:
    """Knows which nonces were used lately, and tells the store about them a little later.

    The request that brings a nonce does not wait for a commit; the store remembers for good.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        """Start with none; older ones are in the store."""
        self._database = database
        self._clock = clock
        self._recent: dict[tuple[int, str], Nonce] = {}
        self._unsaved: list[Nonce] = []

    def use(self, app_id: int, nonce: str) -> bool:
        """Note a nonce; False when it was used lately.

        Raises:
            StoreBusyError: the store has not taken any for too long.
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
        """Hand the new ones to the store and drop from memory what is long there."""
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
                break  # they are in the order of their use
            if key not in waiting:
                del self._recent[key]

    async def keep_saving(self) -> None:
        """Save again and again, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.save()


@dataclass(frozen=True, slots=True)
class Services:
    """What one application serves from."""

    database: Database
    gateway: Gateway
    nonces: Nonces
    clock: Clock
    recognition: Recognition | None = None
    """Sentences to control requests, and what became of them."""
