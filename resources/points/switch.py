"""The data point ``switch`` (关机 in the document), which powers the machine off."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

from machine.errors import UnavailableError
from machine.logind import PowerOff
from resources.datapoint import DataPoint
from resources.times.idle import IdlePowerOff
from wire.datapoints import Value
from wire.story_points import SWITCH

# Seconds; the answer must reach the cloud before the network goes down.
POWER_OFF_DELAY = 1.0

_log = logging.getLogger(__name__)


class SwitchPoint(DataPoint):
    """Powers off on ``true``; a machine that answers is on, so the value is always ``false``."""

    description: ClassVar = SWITCH

    def __init__(self, power_off: PowerOff, idle: IdlePowerOff | None = None) -> None:
        """Power off through ``power_off``; ``idle`` does so when nobody uses the machine."""
        self._power_off = power_off
        self.idle = idle
        self._pending: asyncio.Task[None] | None = None

    @property
    def back_end(self) -> str:
        """The power-off back end in use."""
        return self._power_off.name

    async def get(self) -> bool:
        """Return false: a machine that is off does not answer."""
        return False

    async def put(self, value: Value) -> None:
        """Schedule the power-off on ``true``; ``false`` has no effect. Raises UnavailableError."""
        if value and self._pending is None:
            await self._power_off.check()
            self._pending = asyncio.create_task(self._power_off_soon())

    async def run(self) -> None:
        """Power off a machine that nobody uses."""
        if self.idle is not None:
            await self.idle.run()

    async def close(self) -> None:
        """Cancel a pending power-off."""
        if self._pending is not None:
            self._pending.cancel()

    async def _power_off_soon(self) -> None:
        try:
            await asyncio.sleep(POWER_OFF_DELAY)
            await self._power_off.power_off()
        except UnavailableError as error:
            _log.error("power-off failed: %s", error)  # expected: no traceback
        finally:
            self._pending = None
