"""What is heard when the volume changes: on the monitor of a real sound server, in dB."""

from __future__ import annotations

import array
import asyncio
import itertools
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from machine.level import KeptLevel
from machine.player import MpvPlayer
from tests.conftest import write_tone
from tests.gaps import without_gaps
from tests.machine.parts import (
    DEADLINE,
    RATE,
    Ear,
    PulseServer,
    level_in_decibels,
    level_of_samples,
    until,
)
from tests.resources.parts import LoudBench

WINDOW = RATE // 50
# A ramp of 30 dB in 0.2 s is 3 dB in a window; the server applies levels block by block.
STEP_DB = 9.0
# Below any level of the ramp: full scale is 90 dB here, and the story is at most 40 dB under it.
GAP_DB = 20.0


@dataclass
class Room:
    server: PulseServer
    bench: LoudBench

    def stream(self) -> str:
        return self.server.pactl("list", "short", "sink-inputs").split()[0]

    def turn(self, percent: str, sink: str = "bench") -> None:
        self.server.pactl("set-sink-volume", sink, percent)


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    """A story plays at step 16."""
    server = PulseServer(tmp_path)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    server.start()
    level = KeptLevel()
    player = MpvPlayer(level, unit=Path("/nonexistent"))
    bench = LoudBench(level)
    await bench.loudness.open()
    # Longer than any test may take: it ended in one on a busy machine, which then waited for a level in silence.
    story = str(write_tone(tmp_path / "story.wav", seconds=600))
    await player.play(story, lambda _reason: None)
    yield Room(server, bench)
    await player.close()
    await bench.loudness.close()
    server.kill()


def windows(samples: array.array[int]) -> list[float]:
    """Return the level of each 20 ms in dB."""
    parts = [samples[place : place + WINDOW] for place in range(0, len(samples), WINDOW)]
    means = [sum(sample * sample for sample in part) / len(part) for part in parts]
    return [10 * math.log10(max(mean, 1e-3)) for mean in means]


async def full_level(ear: Ear) -> float:
    await ear.tone(440.0)  # a monitor begins with silence
    return await level_in_decibels(ear)


async def until_level(ear: Ear, decibels: float) -> array.array[int]:
    """Listen until a tenth of a second has the level; return all that was heard."""
    async with asyncio.timeout(DEADLINE):
        heard = block = await ear.block()
        while abs(level_of_samples(block) - decibels) > 1.0:
            block = await ear.block()
            heard += block
    return heard


async def test_a_large_change_is_a_ramp_up_and_down(room: Room) -> None:
    async with room.server.ear() as ear:
        full = await full_level(ear)
        for step, change in ((4, -30.0), (16, 0.0)):
            await room.bench.loudness.set(step)
            levels = windows(await until_level(ear, full + change))
            sounding = without_gaps(levels, GAP_DB)
            steps = [after - now for now, after in itertools.pairwise(sounding)]
            assert len(steps) > 2
            assert max(map(abs, steps)) < STEP_DB


async def test_the_night_is_heard_and_no_knob_beats_it(room: Room) -> None:
    async with room.server.ear() as ear:
        full = await full_level(ear)
        room.bench.now = datetime(2026, 11, 26, 21, 0).astimezone()
        await room.bench.loudness.put_night("21:00-06:30 max=5")
        await until_level(ear, full - 27.5)
        room.turn("150%")
        await until(lambda: level_of(room, "bench") < 0.4)
        await until_level(ear, full - 27.5)
        room.server.pactl("set-sink-input-volume", room.stream(), "150%")  # of the story alone
        await until(lambda: "150%" not in room.server.pactl("list", "sink-inputs"))
        await until_level(ear, full - 27.5)
        room.turn("30%")
        await until(lambda: room.bench.reported[-1:] == [3])
        await until_level(ear, full - 31.4)


async def test_a_sleeping_output_is_woken_at_the_nights_level(room: Room) -> None:
    room.bench.now = None  # the time is unknown
    await room.bench.loudness.put_night("21:00-06:30 max=5")
    room.server.pactl("load-module", "module-null-sink", "sink_name=usb")
    await until(lambda: level_of(room, "usb") < 0.4)
    room.server.pactl("set-default-sink", "usb")
    assert await room.bench.loudness.get() == 5


def level_of(room: Room, sink: str) -> float:
    text = room.server.pactl("get-sink-volume", sink)
    return int(text.split("/")[1].strip().rstrip("%")) / 100
