"""A small record in the state folder."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import pytest

import resources.record
from base.files import write_atomically
from machine.errors import UnavailableError
from resources.record import Record


async def test_what_is_saved_is_loaded_and_a_folder_is_made(tmp_path: Path) -> None:
    record = Record(tmp_path / "state" / "a.json")
    assert record.load() == {}
    await record.save({"name": "小星", "on": True})
    assert Record(tmp_path / "state" / "a.json").load() == {"name": "小星", "on": True}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 10000])
def test_a_damaged_one_is_empty_and_logged_once(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert Record(tmp_path / "a.json").load() == {}
    assert [entry.getMessage()[:16] for entry in caplog.records] == ["a.json is lost, "]


async def test_one_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match=r"^a\.json: not stored: Not a directory"):
        await Record(tmp_path / "file" / "a.json").save({})
    with pytest.raises(UnavailableError, match=r"^night: not stored: Not a directory"):
        await Record(tmp_path / "file" / "a.json").save({}, "night")


@pytest.mark.parametrize("before", [{}, {"on": False}])
async def test_one_that_is_cancelled_in_its_write_does_not_count_later(
    before: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, begun, go_on = Record(tmp_path / "a.json"), threading.Event(), threading.Event()
    if before:
        await record.save(before)

    def slow(path: Path, data: bytes) -> None:
        begun.set()
        go_on.wait(30)
        write_atomically(path, data)

    monkeypatch.setattr(resources.record, "write_atomically", slow)
    saving = asyncio.create_task(record.save({"on": True}))
    await asyncio.to_thread(begun.wait, 30)
    saving.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait([saving])
    assert saving.cancelled()
    assert Record(tmp_path / "a.json").load() == before


async def test_one_in_memory_forgets() -> None:
    await Record(None).save({"a": 1})
    assert Record(None).load() == {}
