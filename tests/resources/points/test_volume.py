"""Volume on a real mixer: PulseAudio's null sink."""

from __future__ import annotations

import os
import subprocess

import pytest

from machine.mixers import PulseMixer, find_mixer
from resources.dispatch import Dispatch
from resources.points.volume import VolumePoint
from wire.codes import Code


def pactl(server: str, *arguments: str) -> str:
    result = subprocess.run(
        ["pactl", *arguments], env={**os.environ, "PULSE_SERVER": server},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return result.stdout


@pytest.fixture
def pulse(pulse_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PULSE_SERVER", pulse_server)
    return pulse_server


async def test_volume_sets_the_real_sink_and_reads_it_back(pulse: str) -> None:
    mixer = await find_mixer()
    assert isinstance(mixer, PulseMixer)
    point = VolumePoint(mixer)
    for step in (0, 7, 16):
        await point.put(step)
        assert await point.get() == step
        assert f"{round(step / 16 * 100)}%" in pactl(pulse, "get-sink-volume", "@DEFAULT_SINK@")
    await point.close()


async def test_volume_sees_a_knob_and_a_mute_on_the_machine(pulse: str) -> None:
    mixer = await PulseMixer.find()
    assert mixer
    point = VolumePoint(mixer)
    pactl(pulse, "set-sink-volume", "@DEFAULT_SINK@", "25%")
    assert await point.get() == 4
    pactl(pulse, "set-sink-mute", "@DEFAULT_SINK@", "1")
    assert await point.get() == 0
    await point.put(8)
    assert "no" in pactl(pulse, "get-sink-mute", "@DEFAULT_SINK@")
    await point.close()


async def test_pulse_that_went_away_is_unavailable_not_a_crash(
    pulse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pulse
    mixer = await PulseMixer.find()
    assert mixer
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere/native")
    answer = await Dispatch([VolumePoint(mixer)], _ignore).request("PUT", "volume", "3")
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert "pactl: " in answer.text


async def _ignore(*_: object) -> None:
    return
