"""What the guard does about the policy's acts, with means that the test sees."""

from __future__ import annotations

import asyncio

import pytest

from machine.battery import Charge
from machine.errors import UnavailableError
from resources.announce.cues import Cue
from resources.energy import guard as module
from resources.energy.guard import BatteryGuard, Means
from resources.energy.meter import Meter
from resources.energy.policy import Levels, Policy

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
READINGS = 3

DEADLINE = 20.0


class Bench:
    """A machine whose battery the test sets; ``did`` has all that was done, in order."""

    name = "battery: test"

    def __init__(self) -> None:
        self.charge = Charge(60, powered=False)
        self.did: list[str] = []
        self.refuses: str | None = None
        self.story: Exception | None = None
        self.at_story_end: Charge | None = None
        self.speaks = True
        self.hangs = False
        means = Means(self.say, self.end_story, self, self.report)
        self.guard = BatteryGuard(Meter(self), Policy(Levels()), means)

    def read(self) -> Charge:
        return self.charge

    def say(self, cue: Cue) -> asyncio.Future[bool]:
        self.did.append(f"say {cue}")
        said: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.speaks:
            said.set_result(True)
        return said

    async def end_story(self) -> None:
        self.did.append("end story")
        self.charge = self.at_story_end or self.charge
        if self.hangs:
            await asyncio.Event().wait()
        if self.story:
            raise self.story

    async def check(self) -> None:
        if self.refuses:
            raise UnavailableError(self.refuses)

    async def power_off(self) -> None:
        self.did.append("power off")

    async def report(self, name: str, value: int | bool) -> None:  # noqa: FBT001
        self.did.append(f"report {name} {value}")

    async def falls_to(self, percent: int | None, *, powered: bool | None = False) -> list[str]:
        """Return what is done after so many readings of a charge."""
        self.did.clear()
        self.charge = Charge(percent, powered)
        async with asyncio.timeout(DEADLINE):
            for _ in range(READINGS):
                await self.guard.look()
        return self.did


async def test_a_warning_is_said_and_reported() -> None:
    bench = Bench()
    assert await bench.falls_to(40) == []
    assert await bench.falls_to(15) == ["say low-battery", "report power 15"]
    assert await bench.falls_to(12) == []
    assert await bench.falls_to(8) == ["say low-battery", "report power 8"]


async def test_the_story_ends_before_the_power_off() -> None:
    assert await Bench().falls_to(4) == [
        "report power 4", "end story", "say battery-empty", "power off",
    ]  # fmt: skip


async def test_plugging_in_and_out_is_reported() -> None:
    bench = Bench()
    await bench.falls_to(50)
    assert await bench.falls_to(50, powered=True) == ["say charging", "report charging True"]
    assert await bench.falls_to(50) == ["report charging False"]


async def test_a_charger_in_the_last_seconds_keeps_the_machine_on() -> None:
    bench = Bench()
    bench.at_story_end = Charge(4, powered=True)
    assert await bench.falls_to(4) == ["report power 4", "end story", "say battery-empty"]


async def test_a_machine_that_may_not_power_off_keeps_its_story(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.refuses = "logind refuses to power off: ['challenge']"
    assert await bench.falls_to(4) == []
    assert "battery: the machine stays on at 4 %: logind refuses" in caplog.text


@pytest.mark.parametrize("fault", [UnavailableError("play: mpv gave no answer"), ValueError("odd")])
async def test_a_story_that_does_not_end_does_not_keep_the_machine_on(fault: Exception) -> None:
    bench = Bench()
    bench.story = fault
    assert (await bench.falls_to(4))[-1] == "power off"


async def test_neither_a_hung_story_nor_a_hung_cue_keeps_the_machine_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    bench.speaks = False
    monkeypatch.setattr(module, "SAY_SECONDS", 0.01)
    monkeypatch.setattr(module, "END_SECONDS", 0.01)
    bench.hangs = True
    assert (await bench.falls_to(4))[-1] == "power off"


async def test_an_unknown_charge_does_nothing() -> None:
    bench = Bench()
    assert await bench.falls_to(None, powered=None) == []


async def test_it_looks_three_times_soon_and_then_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTLE_SECONDS", "WATCH_SECONDS"):
        monkeypatch.setattr(module, name, 0.0)
    bench = Bench()
    bench.charge = Charge(15, powered=False)
    warned = asyncio.Event()
    guard = BatteryGuard(
        Meter(bench), Policy(Levels()), Means(lambda cue: _tell(warned, bench, cue), bench.end_story, bench, bench.report)
    )  # fmt: skip
    running = asyncio.create_task(guard.run())
    async with asyncio.timeout(DEADLINE):
        await warned.wait()
        bench.charge = Charge(4, powered=False)
        while "power off" not in bench.did:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])


def _tell(warned: asyncio.Event, bench: Bench, cue: Cue) -> asyncio.Future[bool]:
    warned.set()
    return bench.say(cue)
