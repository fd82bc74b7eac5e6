"""The doctor's check of the wake word, with each of its faults present."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.doctor import wake
from agent.doctor.findings import Level
from audio.embedding import Missing
from machine.wake_words import WakeWords
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told
from tests.machine.wake_parts import stored

ON = "[wake]\non = true"


@pytest.fixture(autouse=True)
def _models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "find_models", lambda: Path("models"))


def test_without_the_wish_nothing_is_looked_at(tmp_path: Path) -> None:
    assert wake.check_wake(make_patient(tmp_path)).level is Level.SKIPPED


def test_missing_models_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "find_models", lambda: Missing("x is not installed"))
    found = wake.check_wake(make_patient(tmp_path, ON))
    assert told(found) == (Level.BAD, "the wake word's models: x is not installed")
    assert is_complete(found)


def test_words_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    patient, words = make_patient(tmp_path, ON), WakeWords(tmp_path)
    none = wake.check_wake(patient)
    assert told(none) == (Level.BAD, "no word can be used: –")
    words.save(stored("bare", card=None))
    bare = wake.check_wake(patient)
    assert told(bare) == (
        Level.BAD, "no word can be used: bare: it has no card: story-agent wake card",
    )  # fmt: skip
    words.save(stored("good"))
    both = wake.check_wake(patient)
    assert both.level is Level.HINT
    words.forget("bare")
    assert told(wake.check_wake(patient)) == (Level.GOOD, "good")
    (words.folder / "x.json").write_text("{")
    damaged = wake.check_wake(patient)
    assert damaged.level is Level.HINT
    assert "x.json: damaged" in damaged.cause.en
    assert all(map(is_complete, (none, bare, both, damaged)))


def test_what_the_running_agent_cannot_is_said(tmp_path: Path) -> None:
    WakeWords(tmp_path).save(stored("good"))
    status = {"listening": {"wake": {"fault": "not_started"}}}
    found = wake.check_wake(make_patient(tmp_path, ON, status=status))
    assert told(found) == (Level.BAD, "the agent cannot listen for it: not_started")
    assert is_complete(found)
