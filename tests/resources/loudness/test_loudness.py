"""The one path to the mixer: orders, limits, the night, the start, and what others turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from machine.errors import RefusedError, UnavailableError
from machine.mixers import StandInMixer
from machine.outputs import Outputs
from resources.loudness import loudness as module
from resources.loudness.limits import Limits
from resources.loudness.night import Night
from resources.loudness.steps import level_of, step_of
from tests.machine.parts import until
from tests.resources.parts import LoudBench, level_on
from wire.errors import FieldError


class Speaker(StandInMixer):
    """A device that keeps its level, and can fail."""

    name = "speaker"
    rank = 1

    def __init__(self, step: int = 16, run: str = "run 1") -> None:
        super().__init__()
        self.step = step
        self.run = run
        self.fault = ""
        self.hangs: asyncio.Event | None = None

    @property
    def step(self) -> int:
        return step_of(self._level)

    @step.setter
    def step(self, step: int) -> None:
        self._level = level_of(step)

    async def read(self) -> Outputs:
        if self.hangs is not None:
            await self.hangs.wait()
        if self.fault:
            raise UnavailableError(self.fault)
        return Outputs(self.run, "speaker", {"speaker": self._level})

    async def put(self, levels: Mapping[str, float]) -> None:
        self._level = levels["speaker"]


class Card:
    """A device that ramps are put on, as `Speaker` is none for them."""

    name = "card"
    rank = 1
    alive = True
    tells = False

    def __init__(self) -> None:
        self.heard = [level_of(1)]

    async def read(self) -> Outputs:
        return Outputs("run 1", "card", {"card": self.heard[-1]})

    async def put(self, levels: Mapping[str, float]) -> None:
        self.heard.append(levels["card"])

    async def close(self) -> None:
        pass


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-26T{clock}")


async def test_with_the_default_limits_every_step_can_be_set() -> None:
    bench = LoudBench()
    for step in (0, 7, 16):
        await bench.loudness.set(step)
        assert await bench.loudness.get() == step
    assert bench.loudness.limits == Limits(16, 0, None)
    assert bench.loudness.name == StandInMixer.name


async def test_an_order_beyond_the_limits_is_refused_and_a_button_stops_there() -> None:
    bench = LoudBench()
    await bench.loudness.put_limits("max=12 min=3")
    for step in (0, 2, 13, 16):
        with pytest.raises(RefusedError, match=f"volume: got {step}, expected 3 to 12 now"):
            await bench.loudness.set(step)
    await bench.loudness.set(11)
    assert [await bench.loudness.turn(1) for _ in range(3)] == [12, 12, 12]
    assert await bench.loudness.turn(-20) == 3


async def test_a_limit_that_is_lowered_during_a_ramp_ends_it() -> None:
    """The ramp is below the limit yet: it must not lead above it, also not for a moment."""
    card = Card()
    bench = LoudBench(level_on(card))
    ramp = asyncio.create_task(bench.loudness.set(16))
    await until(lambda: len(card.heard) > 1)
    await bench.loudness.put_limits("max=9")
    with pytest.raises(RefusedError, match="volume: got 16, expected 0 to 9 now"):
        await ramp
    assert (step_of(card.heard[-1]), max(map(step_of, card.heard))) == (9, 9)
    assert bench.reported == [9]


async def test_an_order_that_a_newer_one_ends_is_not_taken_for_the_volume() -> None:
    card = Card()
    bench = LoudBench(level_on(card))
    ramp = asyncio.create_task(bench.loudness.set(16))
    await until(lambda: len(card.heard) > 1)
    low = step_of(card.heard[-1])
    await bench.loudness.set(low)  # a step, which is done before the ramp wakes
    await ramp
    assert step_of(await bench.level.get()) == low
    card.heard.append(level_of(16))  # a knob
    await bench.loudness.get()
    await until(lambda: bench.reported)
    assert bench.reported == [16]
    await bench.loudness.close()


@pytest.mark.parametrize("order", ["night", "limits"])
async def test_a_limit_is_answered_while_the_mixer_hangs(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored and in force: an order that waits too long would be told as failed."""
    monkeypatch.setattr(module, "OBEY_SECONDS", 0.01)
    speaker = Speaker(16)
    speaker.hangs = asyncio.Event()
    bench = LoudBench(level_on(speaker))
    async with asyncio.timeout(20):
        if order == "night":
            await bench.loudness.put_night("11:00-13:00 max=4")
        else:
            await bench.loudness.put_limits("max=4")
    assert bench.loudness.loudest == 4
    speaker.hangs.set()
    await until(lambda: bench.reported)
    assert (speaker.step, bench.reported) == (4, [4])
    await bench.loudness.close()


async def test_a_lower_limit_holds_at_once_and_is_reported() -> None:
    speaker = Speaker(16)
    bench = LoudBench(level_on(speaker))
    await bench.loudness.put_limits("max=9")
    assert (speaker.step, bench.reported) == (9, [9])
    assert bench.loudness.name == "speaker, at most 9 now"
    await bench.loudness.put_limits("max=16")
    assert (speaker.step, bench.reported) == (9, [9])  # nothing becomes louder by itself


async def test_what_is_no_limit_changes_nothing() -> None:
    bench = LoudBench()
    for put in (bench.loudness.put_limits, bench.loudness.put_night):
        with pytest.raises(FieldError):
            await put("loud")
    assert (str(bench.loudness.limits), bench.loudness.night) == ("max=16 min=0 start=last", None)


async def test_the_night_goes_down_and_the_morning_raises_nothing() -> None:
    speaker = Speaker(16)
    bench = LoudBench(level_on(speaker))
    await bench.loudness.set(10)
    await bench.loudness.put_night("21:00-06:30 max=5")
    assert (await bench.loudness.get(), bench.reported) == (10, [])
    bench.now = at("21:00")
    assert await bench.loudness.get() == 5
    with pytest.raises(RefusedError, match="got 6, expected 0 to 5 now, see night"):
        await bench.loudness.set(6)
    bench.now = at("06:30")
    assert await bench.loudness.get() == 5
    await bench.loudness.set(10)
    await bench.loudness.close()


async def test_a_night_that_is_set_at_night_holds_at_once(tmp_path: Path) -> None:
    speaker = Speaker(16)
    bench = LoudBench(level_on(speaker), tmp_path / "loudness.json")
    bench.now = at("23:00")
    await bench.loudness.put_night("21:00-06:30 max=5")
    assert (speaker.step, bench.reported) == (5, [5])
    await bench.loudness.close()


async def test_a_night_counts_while_the_time_is_unknown() -> None:
    bench = LoudBench(level_on(Speaker(16)))
    await bench.loudness.put_night("21:00-06:30 max=5")
    bench.now = None
    assert bench.loudness.loudest == 5
    await bench.loudness.put_limits("min=8")
    await bench.loudness.set(5)  # the night's limit is stronger than the least volume
    await bench.loudness.close()


async def test_a_knob_is_reported_once_it_rests_and_never_beats_the_limit() -> None:
    speaker = Speaker(16)
    bench = LoudBench(level_on(speaker))
    turned: list[int] = []

    async def after_turn(step: int) -> None:
        turned.append(step)

    bench.loudness.after_turn = after_turn
    await bench.loudness.put_limits("max=12")
    bench.reported.clear()
    await bench.loudness.set(8)
    for step in (9, 10, 11):
        speaker.step = step
        assert await bench.loudness.get() == step
    await until(lambda: turned)
    assert (bench.reported, turned) == ([11], [11])
    speaker.step = 16
    assert await bench.loudness.get() == 12
    await until(lambda: bench.reported[-1] == 12)
    await bench.loudness.close()


async def test_limits_night_and_level_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "loudness.json"
    first = LoudBench(level_on(Speaker(16)), path)
    await first.loudness.open()
    await first.loudness.put_limits("max=12 min=1")
    await first.loudness.put_night("21:00-06:30 max=5")
    await first.loudness.set(7)
    await first.loudness.close()
    forgetful = Speaker(16, run="run 2")
    second = LoudBench(level_on(forgetful), path)
    second.boot = "boot 2"
    await second.loudness.open()
    assert (forgetful.step, await second.loudness.get()) == (7, 7)
    assert str(second.loudness.limits) == "max=12 min=1 start=last"
    assert str(second.loudness.night) == "21:00-06:30 max=5"
    await second.loudness.close()


async def test_the_start_level_is_for_the_machines_start_not_for_the_agents(tmp_path: Path) -> None:
    path = tmp_path / "loudness.json"
    first = LoudBench(level_on(Speaker(16)), path)
    await first.loudness.put_limits("start=6")
    await first.loudness.set(9)
    await first.loudness.close()
    turned_meanwhile = Speaker(11)
    update = LoudBench(level_on(turned_meanwhile), path)
    await update.loudness.open()
    assert await update.loudness.get() == 11
    await update.loudness.close()
    booted = Speaker(16, run="run 2")
    second = LoudBench(level_on(booted), path)
    second.boot = "boot 2"
    await second.loudness.open()
    assert booted.step == 6
    await second.loudness.close()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'{"limits": 5, "night": 5, "level": "loud", "boot": 5}',
        b'{"limits": "max=99", "night": "always", "level": 9.0}', b"\xff",
    ],
)  # fmt: skip
async def test_a_damaged_record_costs_only_what_is_damaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "loudness.json"
    path.write_bytes(content)
    bench = LoudBench(level_on(Speaker(13)), path)
    await bench.loudness.open()
    assert (await bench.loudness.get(), bench.loudness.limits) == (13, Limits())
    await bench.loudness.put_limits("max=12")
    assert json.loads(path.read_bytes())["limits"] == "max=12 min=0 start=last"
    await bench.loudness.close()


async def test_a_machine_without_a_mixer_keeps_its_volume_over_a_restart(tmp_path: Path) -> None:
    first = LoudBench(path=tmp_path / "loudness.json")
    await first.loudness.open()
    await first.loudness.set(5)
    await first.loudness.close()
    again = LoudBench(path=tmp_path / "loudness.json")
    await again.loudness.open()
    assert await again.loudness.get() == 5
    await again.loudness.close()


async def test_of_changes_at_once_none_leaves_another_out(tmp_path: Path) -> None:
    path = tmp_path / "loudness.json"
    bench = LoudBench(path=path)
    await asyncio.gather(
        bench.loudness.put_limits("max=8"),
        bench.loudness.put_night("21:00-06:00 max=3"),
        bench.loudness.put_limits("min=2"),
    )
    again = LoudBench(path=path).loudness
    for found in (bench.loudness, again):
        assert found.limits == Limits(max=8, min=2)
        assert found.night == Night(21 * 60, 6 * 60, 3)
    await bench.loudness.close()


async def test_limits_that_cannot_be_stored_are_not_in_force(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bench = LoudBench(level_on(Speaker(16)), tmp_path / "file" / "loudness.json")
    for name, put in (
        ("volume_limits", bench.loudness.put_limits("max=9")),
        ("night", bench.loudness.put_night("01:00-02:00 max=1")),
    ):
        with pytest.raises(UnavailableError, match=f"^{name}: not stored: Not a directory"):
            await put
    assert (bench.loudness.limits, bench.loudness.night) == (Limits(), None)


async def test_a_mixer_that_is_missing_does_not_stop_the_start_nor_the_limits() -> None:
    speaker = Speaker(16)
    speaker.fault = "no card"
    bench = LoudBench(level_on(speaker))
    await bench.loudness.open()
    await bench.loudness.put_limits("max=9")
    with pytest.raises(UnavailableError, match="no card"):
        await bench.loudness.set(5)
    speaker.fault = ""
    assert await bench.loudness.get() == 9
    await bench.loudness.close()
