"""Watches the battery: warns, and powers the machine off before the battery does, with the story's place kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from machine.errors import UnavailableError
from machine.logind import PowerOff
from resources.announce.cues import Cue
from resources.energy.meter import Meter
from resources.energy.policy import READINGS, Act, Policy
from wire.records import dataclass

# Seconds. The first three readings come quickly: before them nothing is known.
SETTLE_SECONDS = 5.0
# A battery loses a percent in three minutes; a machine that was plugged in says so within this.
WATCH_SECONDS = 15.0
# The end of a story before a power-off: its fade, and then what is said. Neither may keep the machine on.
END_SECONDS = 10.0
SAY_SECONDS = 8.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What the guard acts with.

    Attributes:
        say: lets a cue be heard; its result comes after the cue's end.
        end_story: fades and stops what plays, and keeps its place. May raise ResourceError.
        power_off: powers off, as ``switch`` does.
        report: reports a data point's new value.
    """

    say: Callable[[Cue], Awaitable[bool]]
    end_story: Callable[[], Awaitable[None]]
    power_off: PowerOff
    report: Callable[[str, int | bool], Awaitable[None]]


class BatteryGuard:
    """Takes a reading now and then, and does what the policy says."""

    def __init__(
        self,
        meter: Meter,
        policy: Policy,
        means: Means,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch ``meter``; ``clock`` is monotonic."""
        self._meter = meter
        self._policy = policy
        self._means = means
        self._clock = clock

    async def run(self) -> None:
        """Watch until cancelled."""
        for count in range(READINGS):
            await self.look()
            await asyncio.sleep(SETTLE_SECONDS if count < READINGS - 1 else WATCH_SECONDS)
        while True:
            await self.look()
            await asyncio.sleep(WATCH_SECONDS)

    async def look(self) -> None:
        """Take one reading and act on it."""
        charge = await self._meter.read()
        for act in self._policy.note(charge, self._clock()):
            _log.warning("battery: %s at %s %%", act.value, self._policy.percent)
            await self._do(act)

    async def _do(self, act: Act) -> None:
        match act:
            case Act.WARN:
                self._means.say(Cue.LOW_BATTERY)
                await self._means.report("power", self._policy.percent or 0)
            case Act.PLUGGED | Act.UNPLUGGED:
                if act is Act.PLUGGED:
                    self._means.say(Cue.CHARGING)
                await self._means.report("charging", act is Act.PLUGGED)
            case Act.POWER_OFF:
                await self._switch_off()

    async def _switch_off(self) -> None:
        """Power off, unless that is impossible, or somebody plugs the charger in meanwhile."""
        try:
            await self._means.power_off.check()
            await self._means.report("power", self._policy.percent or 0)
            await self._end_story()
            if (await self._meter.read()).powered:
                _log.warning("battery: external power came: the machine stays on")
                return
            await self._means.power_off.power_off()
        except UnavailableError as error:
            _log.error("battery: the machine stays on at %s %%: %s", self._policy.percent, error)

    async def _end_story(self) -> None:
        """End the story and say why; what fails or hangs does not keep the machine on."""
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._means.end_story()
        except Exception:  # noqa: BLE001  # whatever it is: the battery is empty
            _log.exception("battery: the story was not ended")
        try:
            async with asyncio.timeout(SAY_SECONDS):
                await self._means.say(Cue.BATTERY_EMPTY)
        except TimeoutError:
            _log.warning("battery: the cue has not ended in %g s", SAY_SECONDS)
