"""The doctor's checks of buttons and the light."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.doctor import board
from agent.doctor.findings import Level
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
    monkeypatch.setattr(board, "find_chip", lambda _: None)
    library = make_patient(tmp_path, '[buttons]\ntalk = 17\nreader = "gpiozero"')
    assert board.check_buttons(library).level is Level.GOOD
    keys = board.check_buttons(make_patient(tmp_path, '[buttons]\ninput = "all"'))
    assert told(keys) == (Level.GOOD, "all")


def test_the_light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert board.check_light(make_patient(tmp_path)).level is Level.SKIPPED
    led = make_patient(tmp_path, '[light]\nled = "listening"')
    wrong = board.check_light(led, tmp_path)
    assert wrong.level is Level.BAD
    assert is_complete(wrong)
    (tmp_path / "listening").mkdir()
    (tmp_path / "listening" / "brightness").write_text("0")
    assert board.check_light(led, tmp_path).level is Level.GOOD
    line = make_patient(tmp_path, "[light]\ngpio = 13")
    monkeypatch.setattr(board, "find_chip", lambda _: None)
    assert board.check_light(line).level is Level.BAD
    monkeypatch.setattr(board, "find_chip", lambda _: tmp_path)
    assert board.check_light(line).level is Level.HINT
