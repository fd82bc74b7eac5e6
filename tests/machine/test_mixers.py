"""Mixers: PulseAudio's null sink, amixer over it, and a stand-in."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

import machine.mixers
from machine.errors import UnavailableError
from machine.mixers import (
    ALSA_CONTROLS,
    AlsaMixer,
    StandInMixer,
    amixer_value,
    find_mixer,
    outputs_of,
    parse_amixer,
)
from machine.pulse_wire import FULL, Server, Sink


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
    mixer = await find_mixer(ignore)
    assert isinstance(mixer, StandInMixer)
    assert mixer.name == "no mixer found: volume is kept but not heard"
    await mixer.put({"": 0.25})
    assert (await mixer.read()).level == 0.25


async def test_a_card_without_a_program_or_control_for_it_is_no_stand_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its sound would be at a level that nobody can set."""
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    monkeypatch.setenv("PATH", str(tmp_path))
    cards = tmp_path / "cards"
    monkeypatch.setattr(machine.mixers, "CARDS", cards)
    cards.write_text("--- no soundcards ---\n")
    assert isinstance(await find_mixer(ignore), StandInMixer)
    cards.write_text(" 0 [sndrpihifiberry]: HifiberryDac\n")
    with pytest.raises(UnavailableError, match="amixer is missing"):
        await find_mixer(ignore)
    (tmp_path / "amixer").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "amixer").chmod(0o755)
    with pytest.raises(UnavailableError, match="no control, expected Master"):
        await find_mixer(ignore)


async def test_where_there_is_no_mixer_one_name_of_a_control_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Five programs that find no card would make each start slower."""
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine.mixers, "CARDS", tmp_path / "no cards")
    asked = tmp_path / "asked"
    for words, count in (
        ("amixer: Mixer attach default error: No such file or directory", 1),
        ("amixer: Unable to find simple control", len(ALSA_CONTROLS)),
    ):
        (tmp_path / "amixer").write_text(
            f"#!/bin/sh\necho $3 >>'{asked}'; echo '{words}' >&2; exit 1\n"
        )
        (tmp_path / "amixer").chmod(0o755)
        asked.write_text("")
        assert isinstance(await find_mixer(ignore), StandInMixer)
        assert len(asked.read_text().splitlines()) == count


async def test_a_server_that_does_not_answer_is_no_stand_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "native"))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/native")
    with pytest.raises(UnavailableError, match=r"sound server .*native: Connection refused"):
        await find_mixer(ignore)


def ignore() -> None:
    return


async def test_alsa_mixer_drives_a_real_control_through_amixer(
    pulse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "asoundrc"
    config.write_text("ctl.!default { type pulse }\npcm.!default { type pulse }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", f"/usr/share/alsa/alsa.conf:{config}")
    mixer = await AlsaMixer.find(ignore)
    assert mixer
    assert mixer.name == "ALSA: Master"
    await mixer.put({"Master": 0.5})
    assert (await mixer.read()).level == pytest.approx(0.5, abs=0.02)
    await mixer.put({"Master": 0.0})
    assert (await mixer.read()).level == 0.0
    await mixer.put({"Master": 0.25})
    assert (await mixer.read()).level == pytest.approx(0.25, abs=0.02)
    assert "no" in pactl(pulse, "get-sink-mute", "@DEFAULT_SINK@")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("  Mono: Playback 100 [40%] [-30.00dB] [on]", (10**-0.5, True)),
        ("  Mono: Playback 255 [100%] [4.00dB] [on]", (10 ** (4 / 60), True)),
        ("  Front Left: 1 [20%] [on]\n  Front Right: 1 [40%] [on]", (0.3, False)),
        ("  Mono: Playback 100 [40%] [off]", (0.0, False)),
        ("  Mono: Playback 0 [0%] [-99999.99dB] [on]", (0.0, True)),
    ],
)
def test_parse_amixer(text: str, level: tuple[float, bool]) -> None:
    found, in_decibels = parse_amixer(text)
    assert found == pytest.approx(level[0])
    assert in_decibels is level[1]


@pytest.mark.parametrize(
    ("level", "in_decibels", "value"),
    [(1.0, True, "0.00dB"), (10**-0.5, True, "-30.00dB"), (0.0, True, "0%"), (0.25, False, "25%")],
)
def test_amixer_is_told_decibels_where_the_control_knows_them(
    level: float,
    in_decibels: bool,  # noqa: FBT001  # a table
    value: str,  # a table
) -> None:
    assert amixer_value(level, in_decibels=in_decibels) == value


def sink(name: str, level: float = 0.5, master: str = "") -> Sink:
    volumes = (round(level * FULL),) * 2
    return Sink(len(name), name, volumes, muted=False, is_filter=bool(master), master=master)


def test_the_level_of_a_filter_is_that_of_the_sink_at_the_end_of_its_chain() -> None:
    sinks = [sink("usb"), sink("echo", 1.2, "usb"), sink("equaliser", 1.0, "echo"), sink("hd", 0.7)]
    found = outputs_of(Server("equaliser", 7), sinks)
    assert found.default == "usb#3"
    assert found.levels == {"usb#3": 0.5, "hd#2": pytest.approx(0.7, abs=1e-4)}
    assert found.boosts == {"echo#4"}


def test_a_circle_of_filters_and_a_filter_of_nothing_end() -> None:
    around = outputs_of(Server("a", 7), [sink("a", master="bb"), sink("bb", master="a")])
    assert around.default in around.levels
    lost = outputs_of(Server("a", 7), [sink("a", master="gone")])
    assert lost.default == "a#1"


def test_a_server_without_an_output_is_told() -> None:
    with pytest.raises(UnavailableError, match="it has no output"):
        outputs_of(Server("", 7), [])


def test_parse_amixer_names_a_control_without_volume() -> None:
    with pytest.raises(UnavailableError, match="no volume"):
        parse_amixer("Simple mixer control 'Auto-Mute Mode',0")
