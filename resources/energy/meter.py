"""Reads the battery outside the event loop, with a deadline: a hung bus holds one thread, and never a request."""

from __future__ import annotations

import asyncio
import math

from machine.battery import MAINS, Battery, Charge

# A transfer on I²C takes a millisecond, and the kernel gives a hung bus up after one second a register.
READ_SECONDS = 3.0
# Seconds for which a reading counts as one of now: whoever looks through all data points asks twice in one moment.
FRESH_SECONDS = 1.0


class Meter:
    """The battery's charge, for all who ask; those who ask at the same time share one reading."""

    def __init__(
        self, battery: Battery, seconds: float = READ_SECONDS, fresh: float = FRESH_SECONDS
    ) -> None:
        """Read ``battery``; a reading that takes longer than ``seconds`` is unknown, and for ``fresh`` ones it is of now."""
        self._battery = battery
        self._seconds, self._fresh = seconds, fresh
        self._last: Charge | None = None
        self._last_at = -math.inf
        self._reading: asyncio.Future[Charge] | None = None

    @property
    def name(self) -> str:
        """The gauge, and what it told last."""
        return f"{self._battery.name}{show(self._last)}"

    async def recent(self) -> Charge:
        """As `read`; a charge that was read within the last seconds, as many as are ``fresh``, is not read again."""
        is_recent = asyncio.get_running_loop().time() - self._last_at < self._fresh
        return self._last if is_recent and self._last is not None else await self.read()

    async def read(self) -> Charge:
        """Return the charge; what cannot be read is unknown, and says why."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().run_in_executor(None, self._battery.read)
        try:
            async with asyncio.timeout(self._seconds):
                self._last = await asyncio.shield(self._reading)
            self._last_at = asyncio.get_running_loop().time()
        except TimeoutError:
            self._last_at = -math.inf
            self._last = Charge(None, None, f"no answer in {self._seconds:g} s")
        return self._last


def show(charge: Charge | None) -> str:
    """Return a charge for people, to be read after the gauge's name; "" for mains and before the first reading."""
    if charge is None or charge == MAINS:
        return ""
    level = f"unknown ({charge.fault})" if charge.percent is None else f"{charge.percent} %"
    power = {True: ", external power", False: ", no external power", None: ""}[charge.powered]
    return f": {level}{power}"
