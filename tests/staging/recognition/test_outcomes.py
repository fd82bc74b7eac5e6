"""The record of outcomes, and those who listen to it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from staging.errors import StagingError
from staging.recognition import outcomes as outcomes_module
from staging.recognition.outcomes import Outcome, OutcomeLog
from tests.staging.recognition.conftest import UUID

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FEED_LIMIT = 32


def made(uuid: str = UUID, text: str = "暂停") -> Outcome:
    return Outcome(uuid, 1_495_000_000_000, "typed", text=text)


def test_the_record_pages_and_keeps_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_module, "KEEP_PER_DEVICE", 3)
    log = OutcomeLog(tmp_path)
    assert log.recent() == []
    kept = [log.add(made(text=str(n))) for n in range(5)]
    other = log.add(made("0" * 14))
    assert [o.id for o in kept] == [1, 2, 3, 4, 5]
    assert [row["text"] for row in log.recent(UUID)] == ["4", "3", "2"]
    assert [row["id"] for row in log.recent(limit=2)] == [other.id, 5]
    assert [row["id"] for row in log.recent(limit=2, before=5)] == [4, 3]


def test_one_look_at_the_record_gives_a_hundred(tmp_path: Path) -> None:
    log = OutcomeLog(tmp_path)
    for _ in range(101):
        log.add(made())
    assert [len(log.recent(limit=limit)) for limit in (100, 1000)] == [100, 100]


def test_a_record_of_an_earlier_version_has_a_kind(tmp_path: Path) -> None:
    log = OutcomeLog(tmp_path)
    for done in (True, False):
        kept = log.add(made())
        old = {
            key: value for key, value in kept.to_json().items() if key not in ("kind", "nearest")
        }
        with sqlite3.connect(tmp_path / "recognition.sqlite") as connection:
            body = json.dumps(old | {"done": done})
            connection.execute("UPDATE outcomes SET body = ? WHERE id = ?", (body, kept.id))
        connection.close()
    assert [(row["kind"], row["nearest"]) for row in log.recent()] == [("failed", []), ("done", [])]


def test_a_damaged_record_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "recognition.sqlite").write_text("not a database, but long enough to be looked at")
    with pytest.raises(StagingError, match=r"recognition\.sqlite: "):
        OutcomeLog(tmp_path).add(made())


@pytest.mark.parametrize(
    "content", [b"no database" * 100, b""], ids=["damaged", "of other columns"]
)
def test_no_erasing_waits_for_a_damaged_record(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path, log = tmp_path / "recognition.sqlite", OutcomeLog(tmp_path)
    path.write_bytes(content)
    if not content:
        with closing(sqlite3.connect(path)) as file:
            file.execute("CREATE TABLE outcomes (id INTEGER PRIMARY KEY, uuid TEXT, other TEXT)")
    with pytest.raises(StagingError, match=r"recognition\.sqlite: "):
        log.erase_voice_before(2**60)
    log.erase_voice_before(2**60)
    assert [row["text"] for row in log.recent()] == []
    log.add(made())
    assert len(log.recent()) == 1
    assert "is damaged: " in caplog.text


@pytest.mark.parametrize("way", ["erased", "pruned before"])
def test_what_was_erased_is_in_no_free_room_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """SQLite leaves a copy where it has put a page together anew: here one is left by hand."""
    monkeypatch.setattr(outcomes_module, "KEEP_PER_DEVICE", 1)
    path, log = tmp_path / "recognition.sqlite", OutcomeLog(tmp_path)
    log.add(replace(made(text="gone"), source="voice"))
    if way == "pruned before":
        log.erase_voice_before(0)  # the file has nothing else now
        log.add(made(text="kept"))
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = file.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'outcomes'"
        ).fetchone()[0]
    data, at = bytearray(path.read_bytes()), (page - 1) * 4096 + 100
    assert not any(data[at : at + 40])
    data[at : at + 11] = b"a copy left"
    path.write_bytes(data)
    log.erase_voice_before(2**60)
    assert b"a copy left" not in path.read_bytes()
    before = path.read_bytes()
    log.erase_voice_before(2**60)  # nothing more to erase: nothing is written anew
    assert path.read_bytes() == before


async def test_a_slow_listener_loses_the_oldest(tmp_path: Path) -> None:
    log = OutcomeLog(tmp_path)
    with log.subscribe(UUID) as feed:
        log.publish(made("0" * 14))
        for number in range(FEED_LIMIT + 2):
            log.publish(made(text=str(number)))
        assert (await anext(feed.__aiter__())).text == "2"
    log.publish(made())
    assert not log._feeds
