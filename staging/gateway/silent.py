"""Orders silent updates, and sends the orders that commands and the console left in the store.

A device is checked when it registers, when it reports its version or that an update failed, and when a strategy is
published, resumed or opens a phase, or its package is put back: each time after a random delay, one device at a time, and only below a limit of
running updates. Otherwise a fleet that returns from a power cut would fetch a package in the same second. What must
wait, for its turn or after a failure, is checked again then.

The commands and the console only write to the store; `_scan` finds what they wrote.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StagingError, level_of
from staging.store import (
    Database,
    order_rules,
    ota,
    releases,
    rollout_acts,
    rollouts,
    silent_orders,
)
from staging.store.effects import Effect, OtaEventSeen, RunningVersion
from staging.store.releases import StrategyType
from staging.times import Clock

_log = logging.getLogger(__name__)
_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Pace:
    """The rate at which updates start; times in seconds."""

    scan: float = 3.0
    """Between two scans of the store."""
    delay_low: float = 2.0
    """After a trigger; long enough for the version report that follows a registration."""
    delay_high: float = 10.0
    interval: float = 0.2
    """Between two orders, on average."""
    running: int = 100
    """The maximum number of silent updates in progress: what a small server can serve."""
    again: float = 10.0
    """Between two looks for orders and cancellations that devices have not answered."""
    look: float = 15.0
    """Between two looks at the rollouts."""
    stalled: float = 600.0
    """An update without a report for this long does not count as in progress."""


class SilentUpdates:
    """Decides when devices get automatic orders."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        online: Callable[[], Collection[str]],
        send: Callable[[str], None],
        pace: Pace = Pace(),  # frozen
    ) -> None:
        """Prepare; ``online`` returns the connected uuids, ``send`` sends a device's order."""
        self._database = database
        self._clock = clock
        self._online = online
        self._send = send
        self._pace = pace
        # Holds each connected device at most once, so the gateway's limit bounds it.
        self._due: dict[str, float] = {}
        self._wanted = asyncio.Event()
        # The strategies in effect, by number, type and step.
        self._published: frozenset[tuple[int, str, int]] = frozenset()
        # Packages that nothing is ordered of until their files are put back.
        self._damaged: frozenset[int] = frozenset()
        self._last_task = 0

    def consider(self, uuid: str) -> None:
        """Schedule a check whether a silent strategy applies to a device."""
        if not any(kind == StrategyType.SILENT.value for _, kind, _ in self._published):
            return
        delay = _random.uniform(self._pace.delay_low, self._pace.delay_high)
        due = asyncio.get_running_loop().time() + delay
        # One that waits for a later time may be due now.
        self._due[uuid] = min(due, self._due.get(uuid, due))
        self._wanted.set()

    def note_report(self, uuid: str, effects: Iterable[Effect]) -> None:
        """Handle a device's report: a strategy may apply to a reported version, and a failure be tried again."""
        if any(map(_is_occasion, effects)):
            self.consider(uuid)

    async def run(self) -> None:
        """Scan and order until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_scanning())
            group.create_task(self._keep_ordering())

    async def _keep_scanning(self) -> None:
        while True:
            try:
                await self._scan()
            except (StagingError, SQLAlchemyError) as error:
                _log.log(level_of(error), "the scan for orders failed: %s", error)
            await asyncio.sleep(self._pace.scan)

    async def _scan(self) -> None:
        """Send orders that are new in the store; if a strategy is new, or a package is put back, consider every device."""
        before, self._published = self._published, await self._database.read(rollouts.marks)
        damaged, self._damaged = self._damaged, await self._database.read(releases.damaged)
        if self._published - before or damaged - self._damaged:
            for uuid in self._online():
                self.consider(uuid)
        for task_id, uuid in await self._database.read(ota.unsent_after, self._last_task):
            # Each is sent once here; what is not answered, or was paused meanwhile, is sent again (`gateway.orders`).
            self._last_task = task_id
            self._send(uuid)
        if ended := {each[0] for each in before} - {each[0] for each in self._published}:
            # An order that was on its way when its strategy ended: its device learns that now.
            for uuid in await self._database.read(rollout_acts.to_tell, ended):
                self._send(uuid)

    async def _keep_ordering(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._pace.interval * _random.uniform(0.5, 1.5))
            try:
                await self._order_next()
            except (StagingError, SQLAlchemyError) as error:
                _log.log(level_of(error), "ordering silently: %s", error)

    async def _order_next(self) -> None:
        now = asyncio.get_running_loop().time()
        uuid = next((uuid for uuid, due in self._due.items() if due <= now), None)
        if uuid is None or await self._is_full():
            return
        del self._due[uuid]
        if uuid in self._online():  # one that went is considered again when it registers
            await self._order(uuid)
        if not self._due:
            self._wanted.clear()

    async def _order(self, uuid: str) -> None:
        """Order what is due for a device, or look again when something may be."""
        found = await self._database.read(silent_orders.due, uuid, self._clock())
        if found.wait is not None:
            wait = found.wait / 1000 * _random.uniform(1.0, 1.2)
            self._due.setdefault(uuid, asyncio.get_running_loop().time() + wait)
        if found.offer is None:
            return
        task = await self._database.write(silent_orders.order, uuid, self._clock())
        if task is None:  # another process or the pace came between: look again
            self.consider(uuid)
            return
        _log.info("device %s: silent update ordered, task %d", uuid, task.id)
        self._send(uuid)

    async def _is_full(self) -> bool:
        now, stalled = self._clock(), int(self._pace.stalled * 1000)
        running = await self._database.read(silent_orders.running, now - stalled, now + stalled)
        return running >= self._pace.running


def _is_occasion(effect: Effect) -> bool:
    """Return whether a device may be due for an order because of what it reported."""
    if isinstance(effect, OtaEventSeen):
        return effect.report.event not in order_rules.PROGRESS
    return isinstance(effect, RunningVersion)
