"""The gain of a title, by what was measured; and what is heard of it, on a real sound server."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.level import KeptLevel
from machine.measure import Measured, measure
from machine.mpv_program import find_program
from machine.player import MpvPlayer
from resources.loudness.equal import QUIETEST_DB, gain_by_others, gain_of
from tests.machine.parts import PulseServer, level_in_decibels, write_sound

NO_UNIT = Path("/nonexistent/mpv.sock")


@pytest.mark.parametrize(
    ("lufs", "peak", "gain"),
    [
        (-18.0, -3.0, 0.0), (-8.0, 0.5, -10.0), (-23.0, -10.0, 5.0), (-40.0, -37.0, 22.0),
        (-23.0, -3.0, 2.0),  # its peaks allow no more
        (-23.0, 0.0, -1.0),  # its peaks are too high as they are
        (-50.0, -40.0, 24.0), (-70.0, -math.inf, 0.0), (-math.inf, -math.inf, 0.0),
        (10.0, 13.0, QUIETEST_DB),
    ],
)  # fmt: skip
def test_gain(lufs: float, peak: float, gain: float) -> None:
    assert gain_of(Measured(lufs, peak)) == pytest.approx(gain)


@given(st.floats(-90, 0), st.floats(-60, 3))
def test_no_gain_makes_peaks_or_loudness_higher_than_they_may_be(lufs: float, peak: float) -> None:
    gain = gain_of(Measured(lufs, peak))
    if lufs > -60:
        assert peak + gain <= -1 + 1e-9
        assert lufs + gain <= -18 + 1e-9


@pytest.mark.parametrize(
    ("gains", "gain"), [([], 0.0), ([-9.0, -7.0, -2.0], -7.0), ([5.0, 6.0], 0.0)]
)
def test_a_title_that_is_not_measured_yet_is_as_its_neighbours_but_never_louder(
    gains: list[float], gain: float
) -> None:
    assert gain_by_others(gains) == gain


async def test_titles_of_any_loudness_are_heard_equally_loud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = PulseServer(tmp_path)
    monkeypatch.setenv("PULSE_SERVER", server.address)
    server.start()
    level = KeptLevel()
    player = MpvPlayer(level, unit=NO_UNIT)
    heard: dict[float, float] = {}
    try:
        for lufs in (-6.0, -14.0, -23.0, -40.0):
            story = str(write_sound(tmp_path / f"{-lufs:g}.wav", lufs, seconds=20))
            gain = gain_of(await measure(story, find_program(), NO_UNIT))
            await player.play(story, lambda _reason: None, gain=gain)
            async with server.ear() as ear:
                heard[lufs] = await level_in_decibels(ear) + 3.01  # a sine's peak is its loudness
            await player.stop()
    finally:
        await player.close()
        await level.close()
        server.kill()
    for lufs, loudness in heard.items():
        assert loudness == pytest.approx(-18.0, abs=1.0), lufs
