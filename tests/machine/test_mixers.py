"""Mixers: PulseAudio's null sink, amixer over it, and a stand-in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.mixers import AlsaMixer, StandInMixer, find_mixer, parse_amixer


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


async def test_without_a_sound_server_or_card_the_stand_in_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    monkeypatch.setenv("PATH", str(tmp_path))
    mixer = await find_mixer()
    assert isinstance(mixer, StandInMixer)
    assert mixer.name == "no mixer found: volume is kept but not heard"
    await mixer.set(0.25)
    assert await mixer.get() == 0.25


async def test_alsa_mixer_drives_a_real_control_through_amixer(
    pulse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "asoundrc"
    config.write_text("ctl.!default { type pulse }\npcm.!default { type pulse }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", f"/usr/share/alsa/alsa.conf:{config}")
    mixer = await AlsaMixer.find()
    assert mixer
    assert mixer.name == "ALSA: Master"
    await mixer.set(0.5)
    assert abs(await mixer.get() - 0.5) < 0.02
    assert "no" in pactl(pulse, "get-sink-mute", "@DEFAULT_SINK@")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("  Mono: Playback 100 [40%] [-10.00dB] [on]", 0.4),
        ("  Front Left: 1 [20%] [on]\n  Front Right: 1 [40%] [on]", 0.3),
        ("  Mono: Playback 100 [40%] [off]", 0.0),
    ],
)
def test_parse_amixer(text: str, level: float) -> None:
    assert parse_amixer(text) == pytest.approx(level)


def test_parse_amixer_names_a_control_without_volume() -> None:
    with pytest.raises(UnavailableError, match="no volume"):
        parse_amixer("Simple mixer control 'Auto-Mute Mode',0")
