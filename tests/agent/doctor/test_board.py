"""The doctor's checks of buttons and the light."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.doctor import board
from agent.doctor.findings import Level
from machine.input_keys import InputSource
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told


def test_buttons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert board.check_buttons(make_patient(tmp_path)).level is Level.SKIPPED
    toml = "[buttons]\ntalk = 17"
    monkeypatch.setattr(board, "find_chip", lambda _: None)
    none = board.check_buttons(make_patient(tmp_path, toml))
    assert told(none) == (Level.BAD, "there is no /dev/gpiochip*")
    monkeypatch.setattr(board, "find_chip", lambda _: tmp_path / "absent")
    assert board.check_buttons(make_patient(tmp_path, toml)).level is Level.BAD
    monkeypatch.setattr(board, "find_chip", lambda _: tmp_path)
    assert told(board.check_buttons(make_patient(tmp_path, toml))) == (Level.GOOD, "talk 17")
    status = {"buttons": {"faults": {"talk": "stuck"}, "from": "gpiochip0"}}
    stuck = board.check_buttons(make_patient(tmp_path, toml, status=status))
    assert told(stuck) == (Level.BAD, "faulty: talk: stuck")
    assert all(map(is_complete, (none, stuck)))
    unread = {"buttons": {"faults": {}, "unread": ["line 17: busy"]}}
    busy = board.check_buttons(make_patient(tmp_path, toml, status=unread))
    assert told(busy) == (Level.BAD, "the agent cannot read them: line 17: busy")
    assert is_complete(busy)


@pytest.mark.parametrize(
    ("reader", "chip", "library", "level"),
    [
        ("gpiozero", False, True, Level.GOOD), ("gpiozero", True, False, Level.BAD),
        ("auto", False, True, Level.BAD), ("auto", True, False, Level.GOOD),
        ("chip", False, True, Level.BAD), ("chip", True, False, Level.GOOD),
    ],
)  # fmt: skip
def test_what_reads_the_lines_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: str,
    level: Level,
    *,
    chip: bool,
    library: bool,
) -> None:
    monkeypatch.setattr(board, "find_chip", lambda _: tmp_path if chip else None)
    monkeypatch.setattr(board, "find_spec", lambda _: library or None)
    patient = make_patient(tmp_path, f'[buttons]\ntalk = 17\nreader = "{reader}"')
    found = board.check_buttons(patient)
    assert found.level is level
    assert is_complete(found)
    reads = replace(patient, status={"buttons": {"faults": {}, "unread": [], "from": "gpiozero"}})
    if reader == "auto":
        assert told(board.check_buttons(reads)) == (Level.GOOD, "gpiozero")


@pytest.mark.parametrize(
    ("names", "refused", "level", "cause"),
    [
        (["Remote"], [], Level.GOOD, "all"),
        (["Remote"], [Path("event0")], Level.GOOD, "all"),
        ([], [Path("event0")], Level.BAD, "event0 cannot be read by this user"),
        ([], [], Level.HINT, "no input device with such keys is there: all"),
    ],
)
def test_keys_of_input_devices_are_looked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
    refused: list[Path],
    level: Level,
    cause: str,
) -> None:
    monkeypatch.setattr(InputSource, "find", lambda _: (names, refused))
    found = board.check_buttons(make_patient(tmp_path, '[buttons]\ninput = "all"'))
    assert told(found) == (level, cause)
    assert is_complete(found)


def test_the_light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert board.check_light(make_patient(tmp_path)).level is Level.SKIPPED
    led = make_patient(tmp_path, '[light]\nled = "listening"')
    wrong = board.check_light(led, tmp_path)
    assert wrong.level is Level.BAD
    assert is_complete(wrong)
    (tmp_path / "listening").mkdir()
    (tmp_path / "listening" / "brightness").write_text("0")
    assert board.check_light(led, tmp_path).level is Level.GOOD
    for state, level in (("off", Level.GOOD), ("on", Level.GOOD), ("full: I/O error", Level.BAD)):
        status = {"listening": {"light": f"led listening: {state}"}}
        seen = board.check_light(replace(led, status=status), tmp_path)
        assert seen.level is level
        assert is_complete(seen)
    line = make_patient(tmp_path, "[light]\ngpio = 13")
    monkeypatch.setattr(board, "find_chip", lambda _: None)
    assert board.check_light(line).level is Level.BAD
    monkeypatch.setattr(board, "find_chip", lambda _: tmp_path)
    assert board.check_light(line).level is Level.HINT
