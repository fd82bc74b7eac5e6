"""Erases what orders say (`staging.store.family`) from every place of the cloud, and voice that is too old.

An order is on disk before it is answered, so that a kill in the middle only delays it. The places: the rows of the
store, in small steps; the sentences that were understood (`staging.recognition.outcomes`); what the database's files
still hold of both (`staging.store.engine.scrub`). No other file of the cloud ever has voice: it is decoded in memory.
Copies that somebody has made are told of in the receipt.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StagingError
from staging.recognition.outcomes import OutcomeLog
from staging.store import Database, family, voice_ledger
from staging.store.family import STEP
from staging.times import Clock

# Seconds between two looks for orders: of other processes, or such as failed. The receipt promises a minute.
LOOK_SECONDS = 5.0
# Seconds that whoever ordered it waits for the end before the answer says that it is still to come.
WAIT_SECONDS = 10.0
# Seconds between two looks for voice that is too old.
AGE_SECONDS = 600.0
DEVICES_AT_ONCE = 100
DAY_MS = 86_400_000

_log = logging.getLogger(__name__)


class Eraser:
    """Carries orders to erase out; `run` it in one process of a cloud."""

    def __init__(
        self, database: Database, outcomes: OutcomeLog, clock: Clock, voice_days: int = 0
    ) -> None:
        """Erase in these places; voice goes ``voice_days`` after it came, 0: when somebody erases it."""
        self._database = database
        self._outcomes = outcomes
        self._clock = clock
        self.voice_days = voice_days
        self.believes_clock: Callable[[], bool] = lambda: True
        """Whether what is old by the clock may go: one that is years ahead would erase everything."""
        # A process that was killed may have left what was erased in the log of a store that is a file.
        self._is_scrubbed = not database.is_file
        self._one = asyncio.Lock()
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Carry out what is ordered, until cancelled; a failure is logged once and tried again."""
        told = ""
        next_age = self._clock()
        while True:
            self._wanted.clear()
            try:
                await self.rest()
                if self._clock() >= next_age or next_age - self._clock() > AGE_SECONDS * 1000:
                    await self.expire()
                    next_age = self._clock() + int(AGE_SECONDS * 1000)
                told = ""
            except (StagingError, SQLAlchemyError, OSError) as error:
                if told != str(error):
                    _log.warning("something is erased later: %s", error)
                told = str(error)
            await self._pause()

    async def _pause(self) -> None:
        try:
            # A little apart, so that several programs on one machine do not all write at once.
            async with asyncio.timeout(LOOK_SECONDS * random.uniform(0.9, 1.1)):  # noqa: S311  # no secret
                await self._wanted.wait()
        except TimeoutError:
            return

    async def rest(self) -> None:
        """Carry out every order that is not done; one that fails holds up no other family's.

        Raises:
            StagingError, SQLAlchemyError, OSError: the first that is not done; it is tried again by `run`.
        """
        failed: StagingError | SQLAlchemyError | OSError | None = None
        async with self._one:
            waiting = await self._database.read(family.waiting)
            works: list[Callable[[], Awaitable[None]]] = [self._database.settle_keys]
            works += [partial(self._finish, receipt) for receipt in waiting]
            for work in works:
                try:
                    await work()
                except (StagingError, SQLAlchemyError, OSError) as error:
                    failed = failed or error
        if failed is not None:
            raise failed

    async def soon(self) -> bool:
        """Carry out every order, and wait for a while; return whether all are done."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self.rest()
        except (StagingError, SQLAlchemyError, TimeoutError, OSError) as error:
            _log.warning("something is erased later: %s", error or type(error).__name__)
            self._wanted.set()
            return False
        return True

    async def _finish(self, receipt: str) -> None:
        while await self._database.write(family.step, receipt):
            pass
        texts = await self._database.read(family.texts_of, receipt, self._clock())
        await asyncio.to_thread(self._outcomes.erase, texts)
        await asyncio.to_thread(self._database.scrub)
        await self._database.settle_keys()
        await self._database.write(family.finish, receipt, self._clock())
        _log.info("device %s: erased as ordered, receipt %s", texts.uuid, receipt)

    async def expire(self) -> None:
        """Erase the voice that is older than it may be, and entries and receipts that are too old to be shown."""
        now = self._clock()
        if not self.believes_clock():
            return
        if self.voice_days:
            await self._expire_voice(now - self.voice_days * DAY_MS, now)
        await self._database.write(voice_ledger.forget_old, now)
        await self._database.write(family.forget_old, now)

    async def _expire_voice(self, before: int, now: int) -> None:
        with_voice, write = voice_ledger.with_voice_before, self._database.write
        while found := await self._database.read(with_voice, before, DEVICES_AT_ONCE):
            self._is_scrubbed = False
            for device_id in found:
                while await write(voice_ledger.expire, device_id, before, STEP, now):
                    pass
        # Also where no voice was left: a sentence is understood some seconds after it was said, and another time may have ended here.
        await asyncio.to_thread(self._outcomes.erase_voice_before, before)
        if not self._is_scrubbed:
            await asyncio.to_thread(self._database.scrub)
            self._is_scrubbed = True
