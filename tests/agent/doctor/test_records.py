"""Records that cannot be read are told to whoever asks the doctor, with what that costs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.doctor.findings import Level
from agent.doctor.records import check_records
from tests.agent.doctor.doctor_parts import is_complete, make_patient, told

GOOD = '{"format": 1, "rules": "daily 5", "bonus": {}, "night": {}}'


def test_all_well(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(GOOD)
    (tmp_path / "root.json").write_text("{")  # the check of updates says so
    (finding,) = check_records(make_patient(tmp_path))
    assert finding.level is Level.GOOD
    assert is_complete(finding)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("listening_rules.json", "the microphone stays closed: listening_rules.json: "),
        ("rules.json", "so there are none now: rules.json: "),
        ("loudness.json", "loudness.json cannot be read, and counts as empty: "),
    ],
)
@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"[1]", b'{"rules": 5'])
def test_one_that_is_damaged_is_named(tmp_path: Path, name: str, says: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (finding,) = check_records(make_patient(tmp_path))
    level, cause = told(finding)
    assert level is Level.BAD
    assert says in cause
    assert is_complete(finding)


def test_rules_without_sense_and_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(GOOD.replace("daily 5", "daily -5"))
    os.mkfifo(tmp_path / "child_lock.json")
    rules, lock = check_records(make_patient(tmp_path))
    assert "rules.daily" in rules.cause.en
    assert "child_lock.json cannot be read, and counts as empty: no regular file" in lock.cause.en
