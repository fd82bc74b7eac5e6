"""Notices two machines with one identity: a card that was copied, a profile that was flashed twice.

A device that comes back replaces its own connection, which is dead; one whose connection answered when
it was replaced is another machine. Three such answers within ten minutes are two machines that take turns.
Then the one that is connected stays, and the other is refused with the reason, so that an order
reaches one of them always, for as long as no ten minutes pass without a sign, such as a try of the one that is refused.

Signs are counted in memory. That it is certain is in the store too (`staging.store.twins`): a cloud that is killed knows it
when it is back, and each worker knows what another one has seen (docs/adr/0085).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StoreBusyError
from staging.store import Database, twins
from staging.times import Clock, Monotonic

# Seconds for which a sign counts. The refused machine tries again every 150 to 300 s: too rarely for three signs, so that once it is
# certain each one counts for itself.
WINDOW_SECONDS = 600.0
# One may be chance: a machine that is switched off in the moment in which it is replaced.
SIGNS = 3
# Devices that are kept in mind; beyond that the oldest are forgotten.
DEVICES_LIMIT = 1000
# Seconds between two looks for what other processes know, which the console and a machine that is there are told; and until a
# newer sign of one device is worth a commit.
LOOK_SECONDS, SAVE_SECONDS = 15.0, 120.0

TEXT = "another machine uses this identity: its card or profile was copied; flash one of its own"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Signs:
    """Those of one device, in monotonic seconds, whether they made it certain when the last one came, and the last that is stored."""

    times: deque[float] = field(default_factory=lambda: deque(maxlen=SIGNS))
    is_certain: bool = False
    stored: float = -SAVE_SECONDS


class Twins:
    """The signs of each device, and whether they make two machines of it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        changed: Callable[[str], None],
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        """Start without signs but those in ``database``, which `run` reads.

        ``clock``: UTC milliseconds, of the store's rows; ``changed(uuid)`` is called when it becomes certain; ``monotonic``
        counts seconds.
        """
        self._database, self._clock = database, clock
        self._changed = changed
        self._monotonic = monotonic
        self._signs: OrderedDict[str, _Signs] = OrderedDict()
        self._unsaved: dict[str, int] = {}
        self._news = asyncio.Event()

    def suspects(self, uuid: str) -> bool:
        """Return whether two machines use this device's identity, as far as this process knows."""
        signs = self._signs.get(uuid)
        if signs is None or not signs.is_certain:
            return False
        return signs.times[-1] > self._monotonic() - WINDOW_SECONDS

    async def knows(self, uuid: str) -> bool:
        """Return whether two machines use this device's identity, as far as any process knows."""
        if not self.suspects(uuid):
            await self.look()
        return self.suspects(uuid)

    def note(self, uuid: str) -> None:
        """Note a sign of a second machine, such as a replaced connection that was alive."""
        before, now = self.suspects(uuid), self._monotonic()
        signs = self._signs_of(uuid)
        signs.times.append(now)
        is_full = len(signs.times) == SIGNS and signs.times[0] > now - WINDOW_SECONDS
        signs.is_certain = before or is_full
        if signs.is_certain and now - signs.stored >= SAVE_SECONDS:
            signs.stored = now
            self._unsaved[uuid] = self._clock()
            self._news.set()
        self._tell(uuid, before=before)

    async def run(self) -> None:
        """Write what is certain, and read what others know, until cancelled."""
        while True:
            await self.save()
            await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            self._news.clear()

    async def save(self) -> None:
        """Write what is new; what the store does not take now, or is not known to have taken, is kept for the next time."""
        unsaved = dict(self._unsaved)
        if not unsaved:
            return
        try:
            window = int(WINDOW_SECONDS * 1000)
            await self._database.write(twins.note, unsaved, self._clock(), window)
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.debug("two machines with one identity are stored later: %s", error)
            return
        self._unsaved = dict(self._unsaved.items() - unsaved.items())

    async def look(self) -> None:
        """Learn what the store has of the last minutes, if it can be read now."""
        now = self._clock()
        try:
            found = await self._database.read(twins.since, now - int(WINDOW_SECONDS * 1000))
        except (StoreBusyError, SQLAlchemyError) as error:
            _log.debug("two machines with one identity are looked for later: %s", error)
            return
        for uuid, sign_time in found:
            # One that is to come is of a clock that was set back since.
            self._learn(uuid, self._monotonic() - abs(now - sign_time) / 1000)

    def _learn(self, uuid: str, at: float) -> None:
        """Note that a sign, at ``at`` (monotonic seconds), was of a device of which it was certain."""
        if at <= self._monotonic() - WINDOW_SECONDS:
            return
        before, signs = self.suspects(uuid), self._signs_of(uuid)
        signs.is_certain = True
        signs.stored = max(signs.stored, at)
        if not signs.times or signs.times[-1] < at:
            signs.times.append(at)
        self._tell(uuid, before=before)

    def _signs_of(self, uuid: str) -> _Signs:
        signs = self._signs.setdefault(uuid, _Signs())
        self._signs.move_to_end(uuid)
        if len(self._signs) > DEVICES_LIMIT:
            self._signs.popitem(last=False)
        return signs

    def _tell(self, uuid: str, *, before: bool) -> None:
        """Tell the log and whoever looks, once, that there are two."""
        if not before and self.suspects(uuid):
            _log.warning("device %s: %s", uuid, TEXT)
            self._changed(uuid)
