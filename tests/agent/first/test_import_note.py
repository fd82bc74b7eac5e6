"""The note that the import at the start leaves: told in the log and in ``status`` of the same start, and never later."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agent.first import NOTE_NAME, import_note
from agent.first.import_note import forget_note, load_note, store_note, tell_note
from agent.status_text import render
from agent.words import Words

DONE = Words("已导入", "it was imported")
CAUSE, REMEDY = Words("是别的设备的", "it is another device's"), Words("删掉它", "remove it")


def test_what_was_done_is_told_once_the_agent_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store_note(tmp_path, DONE)
    assert load_note(tmp_path) == {"cause": DONE._asdict()}
    tell_note(tmp_path)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", DONE.en)]  # fmt: skip
    assert (tmp_path / NOTE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_refusal_is_told_with_its_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_note(tmp_path, CAUSE, REMEDY)
    tell_note(tmp_path)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", f"{CAUSE.en}; {REMEDY.en}")
    ]
    for language, words in (("zh", ("启动分区：是别的设备的", "删掉它")), ("en", ("import: it is another", "remove it"))):  # fmt: skip
        monkeypatch.setenv("STORY_AGENT_LANG", language)
        shown = render({"link": {"state": "online"}, "import": load_note(tmp_path)})
        assert all(word in shown for word in words)
        assert "cause" not in shown


def test_another_start_of_the_machine_has_nothing_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store_note(tmp_path, CAUSE, REMEDY)
    monkeypatch.setattr(import_note, "boot_id", lambda: "another")
    assert load_note(tmp_path) is None
    tell_note(tmp_path)
    assert caplog.records == []


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\0" * 99, b"x" * 9000, b'{"boot":5}', b'{"boot":"","cause":5}']
)
def test_a_damaged_note_is_none(tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(import_note, "boot_id", lambda: "")
    (tmp_path / NOTE_NAME).write_bytes(data)
    assert load_note(tmp_path) is None
    tell_note(tmp_path)


def test_without_a_state_folder_nothing_is_made(tmp_path: Path) -> None:
    store_note(tmp_path / "none", DONE)
    assert not (tmp_path / "none").exists()
    forget_note(tmp_path)
    store_note(tmp_path, DONE)
    forget_note(tmp_path)
    assert load_note(tmp_path) is None
