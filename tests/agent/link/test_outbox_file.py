"""The outbox's file by itself: what is in it when a call returns, and what it does not grow beyond."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.link import outbox_file
from agent.link.outbox import Outbox, OutboxError
from agent.link.outbox_disk import DiskError
from agent.link.outbox_file import OutboxFile, Sweep, fault_before_opening, make_file
from agent.link.outbox_rows import Row, make_row
from agent.link.outbox_store import Store
from tests.base.sqlite_builds import as_built_with_normal
from tests.moved_clock import on_moved_clock

NAME = "outbox.sqlite"


def row(value: int) -> Row:
    return make_row("volume", value, "ab" * 8, value + 1, 1000)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OutboxFile]:
    opened = OutboxFile(tmp_path / NAME)
    yield opened
    opened.close()


def test_a_commit_is_on_the_disk_whatever_sqlite_was_built_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_built_with_normal(monkeypatch)
    file = OutboxFile(tmp_path / NAME)
    assert file._db.execute("PRAGMA synchronous").fetchone() == (2,)
    file.close()


def test_what_was_salvaged_is_in_the_new_file_and_not_in_a_log_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is renamed alone. Its close writes the log back too, unless another one reads the file."""
    readers: list[sqlite3.Connection] = []
    connect = outbox_file._connect

    def watched(path: Path) -> sqlite3.Connection:
        made = connect(path)
        readers.append(sqlite3.connect(path))
        assert readers[0].execute("SELECT count(*) FROM report").fetchone() == (0,)
        return made

    monkeypatch.setattr(outbox_file, "_connect", watched)
    make_file(tmp_path / NAME, {3: row(1), 7: row(2)}, ["77:final"], {"volume": 2}, 9)
    monkeypatch.undo()
    alone = OutboxFile(Path(shutil.copy(tmp_path / NAME, tmp_path / "alone")))
    assert alone.everything() == ({3: row(1), 7: row(2)}, ["77:final"])
    assert (alone.told(), alone.last_id()) == ({"volume": 2}, 9)
    assert alone.write([(row(3), None)], [], Sweep()) == [10]
    alone.close()
    readers[0].close()


def test_of_a_file_that_cannot_be_made_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        make_file(tmp_path / NAME, {3: row(1)}, ["77:final", "77:final"], {}, 9)
    assert list(tmp_path.iterdir()) == []


def test_of_names_that_are_once_the_newest_4096_are_known(file: OutboxFile) -> None:
    file.write([(row(n), f"77:{n}") for n in range(4100)], [], Sweep())
    assert [file.has_once(f"77:{n}") for n in (0, 3, 4, 4099)] == [False, False, True, True]


def test_of_damaged_rows_the_newest_64_are_kept_aside(file: OutboxFile) -> None:
    ids = file.write([(row(n), None) for n in range(70)], [], Sweep())
    file.write([], [], Sweep(bad=dict.fromkeys(ids[:68], "damaged")))
    kept = file._db.execute("SELECT id, key, why FROM aside ORDER BY id").fetchall()
    assert kept == [(row_id, b"volume", b"damaged") for row_id in ids[4:68]]
    assert list(file.everything()[0]) == ids[68:]


@pytest.mark.parametrize(
    "older",
    [
        *(f"DROP TABLE {table}" for table in ("told", "aside")),
        *(f"ALTER TABLE report DROP COLUMN {name}" for name in ("epoch", "number", "time", "crc")),
    ],
)
def test_what_a_file_of_an_older_version_lacks_is_added(tmp_path: Path, older: str) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as db:
        OutboxFile(tmp_path / NAME).close()
        db.execute(older)
        db.commit()
    file = OutboxFile(tmp_path / NAME)
    first, second = file.write([(row(1), None), (row(2), None)], [], Sweep())
    file.write([], [], Sweep(bad={first: "damaged"}, told={"volume": second}))
    assert (file.everything()[0], file.told()) == ({second: row(2)}, {"volume": second})
    file.close()


def test_the_log_is_written_back_before_it_is_long(tmp_path: Path, file: OutboxFile) -> None:
    """All of it is checked at the start after a power cut: 128 pages, and one transaction more."""
    body = make_row("note", "x" * 4000, "ab" * 8, 1, 1000)
    longest = 0
    for _ in range(300):
        file.write([(body, None)], [], Sweep())
        longest = max(longest, (tmp_path / f"{NAME}-wal").stat().st_size)
    assert 64 * 4096 < longest < 256 * 4096


def test_what_was_told_is_kept_replaced_and_forgotten(file: OutboxFile) -> None:
    file.write([], [], Sweep(told={"volume": 3, "play": 4}))
    file.write([], [], Sweep(told={"volume": 5, "play": None}))
    assert file.told() == {"volume": 5}


def test_a_card_that_does_not_tell_what_is_there_is_an_error_and_no_empty_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worn(*_: object, **_links: object) -> None:
        raise OSError(5, "Input/output error")

    assert fault_before_opening(tmp_path / NAME) is None  # there is none
    monkeypatch.setattr(Path, "stat", worn)
    with pytest.raises(OSError, match="Input/output error"):
        fault_before_opening(tmp_path / NAME)


def rows_in(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM report").fetchone()[0])


@on_moved_clock
async def test_what_is_delivered_is_deleted_after_ten_seconds(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, 10**6)
    await outbox.open()
    await outbox.put("volume", 1)
    await outbox.finish(await outbox.take(), at_once=False)
    tending = asyncio.create_task(outbox.tend())
    await asyncio.sleep(9.9)
    assert rows_in(tmp_path / NAME) == 1
    await asyncio.sleep(0.2)
    assert rows_in(tmp_path / NAME) == 0
    tending.cancel()
    await outbox.close()


@on_moved_clock
async def test_an_outbox_in_which_nothing_is_to_be_done_wakes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    tend = Store.tend

    def noted(self: Store) -> bool:
        looks.append(self.is_tidy)
        return tend(self)

    outbox = Outbox(tmp_path / NAME, 10**6)
    await outbox.open()
    monkeypatch.setattr(Store, "tend", noted)
    tending = asyncio.create_task(outbox.tend())
    await asyncio.sleep(3600)
    assert looks == []
    await outbox.put("volume", 1)
    await outbox.finish(await outbox.take(), at_once=False)
    await asyncio.sleep(3600)
    assert looks == [False]
    assert rows_in(tmp_path / NAME) == 0
    # What the disk does not take is tried again and again.
    monkeypatch.setattr(Store, "_store", refuse)
    await outbox.put("volume", 2)
    await asyncio.sleep(60)
    assert len(looks) >= 6
    assert outbox.status()["in_memory"] == 1
    tending.cancel()
    monkeypatch.undo()
    await outbox.close()


def refuse(*_: object) -> None:
    raise DiskError("full")


async def test_what_is_delivered_is_deleted_at_once_when_it_is_64_reports(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / NAME, 10**6)
    await outbox.open()
    for number in range(64):
        await outbox.put(f"point {number}", number)
    reports = await outbox.take(64)
    await outbox.finish(reports[:63], at_once=False)
    assert rows_in(tmp_path / NAME) == 64
    await outbox.finish(reports[63:], at_once=False)
    assert rows_in(tmp_path / NAME) == 0
    await outbox.close()


async def test_what_the_disk_refuses_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worn(*_: object) -> None:
        raise OSError(5, "Input/output error")

    outbox = Outbox(tmp_path / NAME, 10**6)
    await outbox.open()
    await outbox.put("volume", 1)
    told = re.escape(f"outbox {tmp_path / NAME}: [Errno 5] Input/output error")
    with monkeypatch.context() as patch:
        patch.setattr(OutboxFile, "after", worn)
        patch.setattr(OutboxFile, "write", worn)
        with pytest.raises(OutboxError, match=told):
            await outbox.take()
        with pytest.raises(OutboxError, match=told):
            await outbox.put("ota_event", {"event": 10}, once="77:final")
    assert len(await outbox.take(9)) == 2
    await outbox.close()
