"""The factory's check: the chime is heard by a real microphone of PulseAudio, or is not; cards, gauges, hands and labels."""

from __future__ import annotations

import array
import asyncio
import json
import math
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.doctor.findings import Level, bad, good
from agent.first import press, selftest
from agent.first.press import Presses, ask_for_buttons, keys_to_press
from agent.first.selftest import (
    Report,
    check_battery,
    check_sound,
    judge_sound,
    judge_storage,
    rise,
)
from agent.settings import parse_settings
from agent.words import Words
from machine.button_settings import Key
from machine.chime import NOTES, RATE
from machine.microphone import Recording
from tests.agent.doctor.doctor_parts import is_complete, make_patient
from tests.agent.first.parts import UUID, profile_bytes
from tests.machine.mic_parts import mic_server

BUTTONS = "[buttons]\ntalk = 5\nnext = 6\n"


def noise(level: float, seconds: float = 1.0) -> list[int]:
    rng = random.Random(3)
    return [round(rng.gauss(0, level)) for _ in range(int(RATE * seconds))]


def tone(hertz: float, level: float, seconds: float = 1.0) -> list[int]:
    return [
        round(level * math.sin(2 * math.pi * hertz * n / RATE)) for n in range(int(RATE * seconds))
    ]


def pcm(*parts: list[int]) -> bytes:
    return array.array("h", [sum(values) for values in zip(*parts, strict=True)]).tobytes()


@pytest.mark.parametrize(
    ("during", "heard"),
    [
        (pcm(noise(20)), False),
        (pcm(noise(60)), False),  # somebody drops something: all frequencies, a little
        (pcm(noise(20), tone(NOTES[0][0], 300)), True),
        (pcm(noise(20), tone(NOTES[1][0], 300)), True),
        (pcm(noise(20), tone(440, 300)), False),  # another sound
        (pcm(noise(20), tone(430, 300)), False),
        (bytes(2 * RATE), False),
        (b"", False),
    ],
)
def test_the_chimes_notes_are_told_from_other_sounds(during: bytes, heard: bool) -> None:  # noqa: FBT001
    found = judge_sound(rise(pcm(noise(20)), during))
    assert found.level is (Level.GOOD if heard else Level.BAD)
    assert is_complete(found)


async def test_a_speaker_beside_a_microphone_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "ROOM_BLOCKS", 20)
    monkeypatch.setattr(selftest, "CHIME_BLOCKS", 60)
    with mic_server(tmp_path / "server", monkeypatch) as server:
        server.pactl("set-default-sink", "mic")
        patient = make_patient(tmp_path, '[voice]\ncapture = "parec"\n')
        found = await check_sound(patient)
        assert found.level is Level.GOOD, found.cause


async def test_a_second_of_the_room_is_heard_before_the_chime_and_2_4_s_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    class Blocks:
        """Gives blocks of 20 ms at once."""

        async def block(self) -> bytes:
            heard.append("block")
            await asyncio.sleep(0)
            return bytes(640)

        async def close(self) -> None:
            heard.append("closed")

    async def start(_back_end: object) -> Blocks:
        return Blocks()

    async def play() -> None:
        heard.append("chime")

    monkeypatch.setattr(Recording, "start", start)
    monkeypatch.setattr(selftest, "_play", play)
    assert (await check_sound(make_patient(tmp_path))).level is Level.BAD
    chime = heard.index("chime")
    # It sounds in a task of its own, which begins while the first block after the room's is waited for.
    assert chime in {50, 51}
    assert heard.count("block") == 50 + 120
    assert heard[-1] == "closed"


@pytest.mark.parametrize(
    ("write", "read", "level"),
    [(40, 80, Level.GOOD), (9, 80, Level.HINT), (1, 80, Level.BAD), (40, 1, Level.BAD)],
)
def test_cards_are_judged_by_their_speed(write: float, read: float, level: Level) -> None:
    found = judge_storage(write, read)
    assert found.level is level
    assert is_complete(found)


def test_a_card_is_really_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = selftest.check_storage(make_patient(tmp_path))
    assert "MB/s" in found.cause.en
    assert "MB/s" in selftest.check_storage(make_patient(tmp_path / "not" / "yet")).cause.en
    assert list(tmp_path.iterdir()) == []

    def fail(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    found = selftest.check_storage(make_patient(tmp_path))
    assert (found.level, "No space left" in found.cause.en) == (Level.BAD, True)


def test_a_gauge_that_tells_nothing_fails(tmp_path: Path) -> None:
    assert check_battery(make_patient(tmp_path)).level is Level.GOOD
    found = check_battery(make_patient(tmp_path, '[battery]\nkind = "ina219"\nbus = 77\n'))
    assert found.level is Level.BAD
    assert is_complete(found)


class Hand:
    """A source of levels: a hand that presses some of the buttons."""

    name, fault = "a hand", None

    def __init__(self, *presses: Key) -> None:
        self._presses = presses
        self.closed = False

    async def open(self, take: Any) -> dict[Key, bool]:
        for key in self._presses:
            take(key, 0.0, pressed=False)
            take(key, 0.1, pressed=True)
        return {}

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("pressed", "said"),
    [
        ((Key.TALK, Key.NEXT), "all 2 buttons answer"),
        ((Key.NEXT,), "no press of: talk"),
        ((), "no press of: talk, next"),
    ],
)
async def test_each_button_is_asked_for(
    tmp_path: Path, pressed: tuple[Key, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Hand(*pressed)
    monkeypatch.setattr(press, "find_source", lambda _settings: hand)
    asked: list[Words] = []
    found = await ask_for_buttons(make_patient(tmp_path, BUTTONS), 0.01, asked.append)
    assert said in found.cause.en
    assert len(asked) == 2
    assert hand.closed


async def test_a_running_agent_counts_the_presses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(press, "POLL_SECONDS", 0.001)
    counts = {"talk": 4}
    monkeypatch.setattr(press, "ask_status", lambda _state: {"buttons": {"counts": dict(counts)}})
    status = {"buttons": {"counts": {"talk": 4}}}
    patient = make_patient(tmp_path, "[buttons]\ntalk = 5\n", status=status)
    assert (await ask_for_buttons(patient, 0.05, lambda _words: None)).level is Level.BAD
    asked = await ask_for_buttons(patient, 20, lambda _words: counts.update(talk=5))
    assert asked.level is Level.GOOD


def test_which_buttons_a_machine_has() -> None:
    assert keys_to_press(parse_settings("").buttons) == []
    assert keys_to_press(parse_settings(BUTTONS).buttons) == [Key.TALK, Key.NEXT]
    assert keys_to_press(parse_settings('[buttons]\ninput = "all"\n').buttons) == [Key.TALK]


async def test_a_press_from_before_the_question_counts() -> None:
    presses = Presses()
    presses.note(Key.NEXT)
    assert await presses.wait_for(Key.NEXT, 0.01)
    assert not await presses.wait_for(Key.TALK, 0.01)


def test_the_label_is_one_short_line_of_ascii() -> None:
    day = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)
    wrong = bad("sound", Words("没", "no"), Words("查", "look"))
    report = Report(
        UUID,
        "1.0.0",
        [good("storage", "好", "good"), wrong, bad("battery", wrong.cause, wrong.cause)],
        3,
    )
    assert report.label(day) == f"{UUID} 1.0.0 2026-11-26 08:30 FAIL sound,battery"
    assert (
        Report("", "1.0.0", [], 3, ["buttons"]).label(day)
        == "- 1.0.0 2026-11-26 08:30 PASS without buttons"
    )
    assert report.to_json()["ok"] is False


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "profile.json").write_bytes(profile_bytes())
    files = ["--profile", str(tmp_path / "profile.json"), "--state", str(tmp_path / "state")]
    words = ["selftest", *files, "--no-sound", "--no-buttons", "--lang", "en"]
    assert main([*words, "--json"]) == 1  # nothing listens on port 9
    told = json.loads(capsys.readouterr().out)
    assert (told["uuid"], told["ok"]) == (UUID, False)
    assert {f["check"]: f["level"] for f in told["findings"]}["network"] == "bad"
    assert main([*words, "--label"]) == 1
    assert " FAIL network without sound,buttons" in capsys.readouterr().out
    assert main(words) == 1
    assert f"FAIL {UUID}" in capsys.readouterr().out
