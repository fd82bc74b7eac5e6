"""The power-off of a machine that nobody uses."""

from __future__ import annotations

import asyncio

import pytest

from machine.errors import UnavailableError
from resources.times.idle import IdlePowerOff

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
RETRY_SECONDS = 600.0


class Machine:
    """A power-off that the test counts, and a clock that it moves."""

    name = "scripted"

    def __init__(self, minutes: int = 30) -> None:
        self.now = 1000.0
        self.offs = 0
        self.refusal: str | None = None
        self.playing = False
        self.idle = IdlePowerOff(minutes, self, lambda: self.now)
        self.idle.needs.append(lambda: self.playing)

    async def check(self) -> None:
        if self.refusal:
            raise UnavailableError(self.refusal)

    async def power_off(self) -> None:
        self.offs += 1

    async def passes(self, minutes: float) -> int:
        for _ in range(round(minutes * 4)):
            self.now += 15.0
            await self.idle.look()
        return self.offs


async def test_a_machine_that_nobody_uses_is_powered_off() -> None:
    machine = Machine()
    assert await machine.passes(29.75) == 0
    assert await machine.passes(0.25) == 1


async def test_a_story_an_update_and_an_order_keep_it_on() -> None:
    machine = Machine()
    await machine.passes(20)
    machine.playing = True
    assert await machine.passes(600) == 0
    machine.playing = False
    await machine.passes(20)
    machine.idle.used()
    assert await machine.passes(29.75) == 0
    assert await machine.passes(0.25) == 1


async def test_a_power_off_that_is_refused_is_tried_again_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine(1)
    machine.refusal = "logind refuses to power off: ['no']"
    await machine.passes(1)
    assert "power-off failed: logind refuses" in caplog.text
    machine.refusal = None
    assert await machine.passes(RETRY_SECONDS / 60 - 0.25) == 0
    assert await machine.passes(0.25) == 1


async def test_zero_minutes_are_never() -> None:
    machine = Machine(0)
    async with asyncio.timeout(60):
        await machine.idle.run()
    assert machine.offs == 0
