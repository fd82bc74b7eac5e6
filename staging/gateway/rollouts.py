"""Looks after rollouts: opens the next phase, halts what fails, and cancels what a withdrawal takes back.

Every process of the cloud that serves devices does it; which of them makes a change, the store decides.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import GatewayError, StagingError, level_of
from staging.rollouts.decision import Step, Want
from staging.store import Database, rollout_acts
from staging.store.models import OtaTask
from staging.store.rollout_acts import Look
from staging.times import Clock

# Devices that are asked at once to give an update up; the others come with the next looks.
CANCELS_AT_ONCE = 50
# Looks until a device that did not give an update up is asked again.
ASK_AGAIN = 40

_log = logging.getLogger(__name__)
_random = random.SystemRandom()


class Cancel(Protocol):
    """Cancels a device's update (`staging.gateway.orders.Orders.cancel`)."""

    def __call__(self, uuid: str, only: int | None = None) -> Awaitable[OtaTask]:
        """Cancel the update of the device ``uuid`` if it is the task ``only``."""


class Rollouts:
    """The cloud's own part in rollouts."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owns: Callable[[str], bool],
        cancel: Cancel,
        seconds: float,
    ) -> None:
        """Prepare; ``owns(uuid)`` says whether this process does what nobody asked a device for.

        ``seconds``: between two looks.
        """
        self._database = database
        self._clock = clock
        self._owns = owns
        self._cancel = cancel
        self._seconds = seconds
        # Tasks whose devices were asked, and for how many looks they are left alone.
        self._asked: dict[int, int] = {}

    async def run(self) -> None:
        """Look again and again until cancelled; processes that started together do not look together."""
        while True:
            await asyncio.sleep(self._seconds * _random.uniform(0.8, 1.2))
            await self.look()

    async def look(self) -> None:
        """Look at every rollout once; one that fails each time holds up no other."""
        try:
            watched = await self._database.read(rollout_acts.watched)
        except (StagingError, SQLAlchemyError) as error:
            _log.log(level_of(error), "rollouts are looked at later: %s", error)
            return
        for strategy_id in watched:
            await self._contained(f"strategy {strategy_id}", self._look_at(strategy_id))
        await self._contained("updates to take back", self._recall())

    @staticmethod
    async def _contained(what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except (StagingError, SQLAlchemyError) as error:
            _log.log(level_of(error), "rollouts: %s: looked at later: %s", what, error)
        except Exception:  # noqa: BLE001  # a plan that another version wrote, or a hand, holds up no other
            _log.exception("rollouts: %s: cannot be looked at", what)

    async def _look_at(self, strategy_id: int) -> None:
        now = self._clock()
        found = await self._database.read(rollout_acts.look, strategy_id, now)
        if found is None or not _is_news(found):
            return
        done = await self._database.write(rollout_acts.act, found, now)
        if done is not None:
            _tell(strategy_id, done, found)

    async def _recall(self) -> None:
        """Cancel what runs of strategies that were withdrawn with it."""
        wanted = await self._database.read(rollout_acts.to_cancel)
        self._asked = {task: left - 1 for task, left in self._asked.items() if left > 1}
        mine = [
            (task, uuid) for task, uuid in wanted if self._owns(uuid) and task not in self._asked
        ]
        for task_id, uuid in mine[:CANCELS_AT_ONCE]:
            self._asked[task_id] = ASK_AGAIN
            try:
                await self._cancel(uuid, task_id)
            except (GatewayError, StagingError) as error:  # it finishes, and reports its end
                _log.info("update %d is not taken back: %s", task_id, error)


def _is_news(found: Look) -> bool:
    """Return whether a look changes anything, or counts time that the phase waits for."""
    waits_for_time = found.look_time is None or any(
        wait.want is Want.SOAK for wait in found.next.waits
    )
    return found.next.opens or found.next.halts is not None or waits_for_time


def _tell(strategy_id: int, done: Step, found: Look) -> None:
    counts = found.health.counts
    numbers = f"{found.health.updated} updated, {counts.bad} failed, {counts.suspect} failed once"
    if done.halts is not None:
        _log.warning("strategy %d is halted (%s): %s", strategy_id, done.halts.value, numbers)
    elif done.opens:
        _log.info("strategy %d opens its next phase: %s", strategy_id, numbers)
