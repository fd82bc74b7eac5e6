"""The power-off of a machine that nobody uses: after so many minutes without a story, an update or an order.

A paused story counts as nobody's use; its place is kept. Time counts on the monotonic clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from machine.errors import UnavailableError
from machine.logind import PowerOff

# Seconds between two looks, and the wait after a power-off that failed or did nothing.
LOOK_SECONDS = 15.0
RETRY_SECONDS = 600.0

_log = logging.getLogger(__name__)


class IdleTime:
    """Decides: is it time to power off?"""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        """Wait for ``seconds`` without use; ``clock``: monotonic seconds."""
        self._seconds = seconds
        self._clock = clock
        self._due_at = clock() + seconds

    def used(self) -> None:
        """Somebody, or something, needs the machine now."""
        self._due_at = self._clock() + self._seconds

    def postpone(self) -> None:
        """The power-off failed: not at once again."""
        self._due_at = self._clock() + max(self._seconds, RETRY_SECONDS)

    @property
    def due(self) -> bool:
        """Whether to power off."""
        return self._clock() >= self._due_at


class IdlePowerOff:
    """Asks the parts whether they need the machine, and powers it off if none did for long enough."""

    def __init__(self, minutes: int, power_off: PowerOff, clock: Callable[[], float]) -> None:
        """Power off through ``power_off`` after ``minutes``; 0: never."""
        self._minutes = minutes
        self._power_off = power_off
        self._time = IdleTime(minutes * 60.0, clock)
        self.needs: list[Callable[[], bool]] = []
        """Asked whether the machine is needed now: a story sounds, an update runs."""

    def used(self) -> None:
        """Note an order."""
        self._time.used()

    async def run(self) -> None:
        """Look until cancelled; returns if it is never to be."""
        while self._minutes:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Power off if it is time."""
        if any(needed() for needed in self.needs):
            self._time.used()
        elif self._time.due:
            self._time.postpone()
            await self._end()

    async def _end(self) -> None:
        _log.info("nobody has used the machine for %d minutes: power-off", self._minutes)
        try:
            await self._power_off.check()
            await self._power_off.power_off()
        except UnavailableError as error:
            _log.error("power-off failed: %s", error)
