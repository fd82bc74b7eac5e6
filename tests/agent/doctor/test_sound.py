"""The doctor's checks of sound, on a real PulseAudio with a virtual microphone, and what --fix does there."""

from __future__ import annotations

import array
import math
import os
import random
from pathlib import Path

import pytest

from agent.doctor import mending, sound
from agent.doctor.echo import ARGUMENTS, LOAD, METHOD, MODULE, SINK, SOURCE, Echo
from agent.doctor.findings import Finding, Level
from agent.doctor.mending import PULSE_FILE, mend
from machine import mpv_program
from machine.outputs import Outputs
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told
from tests.machine.mic_parts import mic_server


def noise(level: float) -> bytes:
    rng = random.Random(1)
    return array.array("h", (round(rng.gauss(0, level)) for _ in range(8000))).tobytes()


@pytest.mark.parametrize(
    ("samples", "level"),
    [
        (bytes(16000), Level.BAD),
        (array.array("h", [700] * 8000).tobytes(), Level.HINT),  # a constant is no sound
        (noise(0.9), Level.HINT),
        (noise(20), Level.GOOD),
        (noise(3000), Level.GOOD),
        (array.array("h", [32767, -32768] * 4000).tobytes(), Level.HINT),
    ],
)
def test_a_microphones_second_is_judged(samples: bytes, level: Level) -> None:
    found = sound.judge_sound("mic", samples)
    assert found.level is level
    assert is_complete(found)


def test_decibels_are_those_of_full_scale() -> None:
    sine = array.array("h", (round(32767 * math.sin(n / 5)) for n in range(16000)))
    assert sound.decibels(sine.tobytes()) == pytest.approx(-3.01, abs=0.05)
    assert sound.decibels(b"") == -math.inf


@pytest.mark.parametrize(
    ("outputs", "level"),
    [
        (None, Level.BAD),
        (Outputs("1", "card", {"card": 0.5}, is_dummy=True), Level.BAD),
        (Outputs("1", "card", {"card": 0.5}), Level.GOOD),
        (Outputs("1", "card", {"card": 0.0}), Level.HINT),
        (Outputs("1", "card", {"card": 0.1}), Level.HINT),
    ],
)
def test_an_output_is_judged(outputs: Outputs | None, level: Level) -> None:
    found = sound._judge_output(outputs)
    assert found.level is level
    assert is_complete(found)


async def test_the_player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = make_patient(tmp_path, environment=dict(os.environ))
    if mpv_program.find_program():
        assert (await sound.check_player(patient)).level is Level.GOOD
    monkeypatch.setattr(sound, "find_program", list)
    assert (await sound.check_player(patient)).level is Level.BAD
    (tmp_path / "mpv").write_text("#!/bin/sh\necho 'no such library' >&2; exit 127\n")
    (tmp_path / "mpv").chmod(0o755)
    monkeypatch.setattr(sound, "find_program", lambda: [str(tmp_path / "mpv")])
    found = await sound.check_player(patient)
    assert told(found) == (Level.BAD, "mpv cannot be started: mpv: no such library")


async def test_a_microphone_that_is_off_or_not_allowed_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "find_back_end", lambda *_: pytest.fail("it was looked for"))
    (tmp_path / "microphone-off").write_text("")
    assert (await sound.check_microphone(make_patient(tmp_path))).level is Level.SKIPPED
    (tmp_path / "microphone-off").unlink()
    muted = make_patient(tmp_path, status={"listening": {"state": "muted"}})
    assert (await sound.check_microphone(muted)).level is Level.SKIPPED
    (tmp_path / "listening_rules.json").write_text(
        '{"format": 1, "rules": "daily 0", "bonus": {}, "night": {}}'
    )
    found = await sound.check_microphone(make_patient(tmp_path))
    assert told(found) == (
        Level.SKIPPED, "the parents' rules: listening: today's 0 minutes are over",
    )  # fmt: skip


async def test_a_real_server_is_examined_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with mic_server(tmp_path, monkeypatch) as server:
        toml = '[voice]\ncapture = "parec"'
        patient = make_patient(state, toml, environment=server.environment)
        assert (await sound.check_output(patient)).level is Level.GOOD
        heard = await sound.check_microphone(patient)
        assert heard.level is Level.GOOD
        assert heard.cause.en.startswith("parec: default, -")
        assert told(await sound.check_echo(patient)) == (
            Level.HINT, "no echo cancellation: the story pauses for listening, and hides a wake word",
        )  # fmt: skip

        # As a hand loads it: with the arguments that turn the microphone down.
        names = ("source_master=mic.monitor", "sink_master=bench")
        server.pactl("load-module", MODULE, "aec_method=webrtc", "source_name=story_mic", *names)
        found = await sound.check_echo(patient)
        assert found.level is Level.BAD
        assert "lacks analog_gain_control=0 digital_gain_control=0" in found.cause.en

        server.pactl("set-default-source", "mic.monitor")
        server.pactl("set-default-sink", "bench")
        folder = tmp_path / "default.pa.d"
        done = await mend(patient, (folder,), tmp_path / "pipewire.conf.d")
        assert [words.en for words in done] == [f"wrote {folder / PULSE_FILE}, and it is in force"]
        assert (folder / PULSE_FILE).read_text("utf-8") == mending.recipe(PULSE_FILE)
        assert (await sound.check_echo(patient)).level is Level.GOOD
        assert await mend(patient, (folder,), tmp_path / "pipewire.conf.d") == []

        server.pactl("set-default-sink", "bench")
        found = await sound.check_echo(patient)
        assert told(found) == (
            Level.BAD, "echo cancellation is there and not used: bench ≠ story_out",
        )  # fmt: skip
        server.pactl("set-default-sink", "story_out")
        named = make_patient(state, '[voice]\nmicrophone = "usb"', environment=server.environment)
        assert (await sound.check_echo(named)).level is Level.BAD
    await without_a_server(state, toml)


async def without_a_server(state: Path, toml: str) -> None:
    patient = make_patient(state, toml, environment=dict(os.environ))
    found: list[Finding] = [
        await check(patient)
        for check in (sound.check_output, sound.check_microphone, sound.check_echo)
    ]
    assert [finding.level for finding in found] == [Level.BAD, Level.BAD, Level.SKIPPED]
    assert all(map(is_complete, found))


async def test_a_canceller_that_makes_zeros_of_a_quiet_room_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(_patient: object) -> tuple[Echo, str, str]:
        return Echo(True, makes_zeros=True), "story_mic", "story_out"

    monkeypatch.setattr(sound, "look_for_echo", look)
    found = await sound.check_echo(make_patient(tmp_path))
    assert told(found) == (
        Level.HINT, "echo cancellation lacks noise_suppression=0: of a quiet room it makes zeros, as if muted",
    )  # fmt: skip
    assert is_complete(found)


async def test_what_a_canceller_lacks_is_told_with_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = make_patient(tmp_path)
    for lacking, harm in (
        ((METHOD,), "takes out little of the echo"),
        ((METHOD, *ARGUMENTS), "turns the microphone down by 29 dB"),
    ):

        async def look(_: object, lacking: tuple[str, ...] = lacking) -> tuple[Echo, str, str]:
            return Echo(True, lacking), SOURCE, SINK

        monkeypatch.setattr(sound, "look_for_echo", look)
        found = await sound.check_echo(patient)
        assert found.level is Level.BAD
        assert harm in found.cause.en
        assert is_complete(found)


def test_the_recipe_loads_what_the_check_wants() -> None:
    text = mending.recipe(PULSE_FILE)
    assert f"load-module {' '.join(LOAD)}" in text
