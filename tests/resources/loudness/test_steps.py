"""The 17 steps, as a listener hears them: measured on the monitor of a real sound server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.level import KeptLevel
from machine.outputs import decibels
from machine.player import MpvPlayer
from resources.loudness.steps import level_of, step_of
from tests.conftest import write_tone
from tests.machine.parts import PulseServer, level_in_decibels
from tests.resources.parts import LoudBench

SPREAD = 1.5


@given(st.integers(0, 16))
def test_each_step_is_its_own_level(step: int) -> None:
    assert step_of(level_of(step)) == step


@pytest.mark.parametrize(
    ("level", "step"), [(0.0, 0), (1e-6, 0), (0.12, 1), (0.25, 2), (0.5, 9), (0.99, 16), (1.5, 16)]
)
def test_a_knob_has_the_nearest_step(level: float, step: int) -> None:
    assert step_of(level) == step


def test_steps_are_even_in_decibels() -> None:
    gains = [decibels(level_of(step)) for step in range(1, 17)]
    assert gains == pytest.approx([2.5 * (step - 16) for step in range(1, 17)])


async def test_the_steps_are_even_where_they_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = PulseServer(tmp_path)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    server.start()
    level = KeptLevel()
    bench, player = LoudBench(level), MpvPlayer(level)
    heard: dict[int, float] = {}
    try:
        story = str(write_tone(tmp_path / "story.wav", seconds=120))
        await player.play(story, lambda _reason: None)
        for step in (16, 1, 4, 8, 9, 12, 15, 0):
            await bench.loudness.set(step)
            async with server.ear() as ear:
                heard[step] = await level_in_decibels(ear)
    finally:
        await player.close()
        await bench.loudness.close()
        server.kill()
    assert heard.pop(0) < -80
    for step, gain in heard.items():
        assert gain - heard[16] == pytest.approx(2.5 * (step - 16), abs=SPREAD), step
