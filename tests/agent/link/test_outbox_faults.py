"""A disk that fails in the middle of the outbox's work: what is readable is sent, once, and what waits is told."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

import agent.link.outbox
import agent.link.outbox_store
from agent.link import outbox_held
from agent.link.outbox import Outbox, OutboxError
from agent.link.outbox_disk import DiskError
from agent.link.outbox_file import OutboxFile, fault_before_opening, read_file
from agent.link.outbox_rows import BadRowError, make_row, parse_row
from agent.link.outbox_salvage import Salvaged, read_rows
from agent.link.outbox_store import NotStoredError, Store
from tests.agent.link.test_outbox_disk import NAME, Hands
from tests.agent.parts import DEADLINE

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BLOCK = 4096
REBUILDS_MAX = 3
REOPEN_SECONDS = 60.0
BODY_MAX = 60_000
ONCE_MAX = 512


def broken(code: int = sqlite3.SQLITE_IOERR, text: str = "disk I/O error") -> sqlite3.Error:
    """Return what SQLite raises for a card that fails, or for a file that is damaged."""
    kind = sqlite3.DatabaseError if code == sqlite3.SQLITE_CORRUPT else sqlite3.OperationalError
    error = kind(text)
    error.sqlite_errorcode = code
    return error


def break_off(patch: pytest.MonkeyPatch, *works: str, code: int = sqlite3.SQLITE_IOERR) -> None:
    """Let works of the open file fail from now on."""

    def fail(*_arguments: object) -> None:
        raise broken(code)

    for work in works:
        patch.setattr(OutboxFile, work, fail)


def filled(folder: Path, values: Sequence[object] = (0, 1, 2)) -> Hands:
    hands = Hands(folder)
    hands.open()
    for value in values:
        hands.store.put("volume", value)
    return hands


# What cannot be opened.


def test_a_file_that_can_be_opened_later_gives_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path).store
    store.put("ota_event", {"event": 10}, once="77:final")
    store.close()
    hands = Hands(tmp_path)
    with monkeypatch.context() as patch:
        break_off(patch, "__init__")
        hands.open()
        assert hands.store.status()["in_memory"] == 4
        assert not hands.store.put("ota_event", {"event": 10}, once="77:final")
        sent = hands.store.take(2, in_order=True)
        hands.now += REOPEN_SECONDS + 1
        assert not hands.store.tend()  # it cannot be opened still: what memory has is not doubled
        assert hands.store.status()["in_memory"] == 4
    hands.now += REOPEN_SECONDS + 1
    assert hands.store.tend()
    assert hands.store.status()["in_memory"] == 0
    hands.store.finish(sent, at_once=True)  # by the ids that it had in memory
    assert hands.deliver_all() == [2, {"event": 10}]
    hands.store.close()
    assert Hands(tmp_path).open().waiting == 0


def test_a_path_that_the_system_refuses_is_a_queue_in_memory_which_is_told_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hands = Hands(tmp_path)
    hands.store = Store(tmp_path / ("x" * 300), 10**6, lambda: 0.0, lambda: 0.0)
    hands.open().put("volume", 1)
    assert "File name too long" in str(hands.store.status()["trouble"])
    with pytest.raises(OSError, match="File name too long"):
        fault_before_opening(tmp_path / ("x" * 300))
    hands.store.close()
    assert "1 reports in memory end with the agent" in caplog.text


def test_a_view_in_place_of_the_table_is_no_outbox(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("CREATE VIEW report AS SELECT 1 AS id, 'a' AS key, 'b' AS body, 1 AS size")
    db.close()
    hands = filled(tmp_path)
    assert hands.deliver_all()[-3:] == [0, 1, 2]
    assert (tmp_path / f"{NAME}.bad").exists()
    hands.store.close()


def test_a_folder_that_is_set_aside_takes_the_place_of_the_one_of_last_time(tmp_path: Path) -> None:
    for name, inside in ((NAME, "new"), (f"{NAME}.bad", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / inside).touch()
    filled(tmp_path).store.close()
    assert [path.name for path in (tmp_path / f"{NAME}.bad").iterdir()] == ["new"]


# What fails while it is open.


def test_a_file_that_is_damaged_again_and_again_is_given_up_and_its_reports_go_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hands = filled(tmp_path)
    with monkeypatch.context() as patch:
        break_off(patch, "after", code=sqlite3.SQLITE_CORRUPT)
        for _take in range(REBUILDS_MAX):
            with pytest.raises(DiskError):
                hands.store.take(9, in_order=True)
        with pytest.raises(DiskError, match="damaged again and again"):
            hands.store._disk.read(lambda file: file.after(0, 1))
    assert caplog.text.count("outbox damaged") == REBUILDS_MAX
    assert [v for v in hands.deliver_all() if isinstance(v, int)] == [0, 1, 2]
    assert hands.store.waiting == 0
    hands.store.close()


@pytest.mark.parametrize("in_order", [True, False])
def test_what_is_in_memory_goes_while_the_file_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_order: bool
) -> None:
    hands = filled(tmp_path)
    with monkeypatch.context() as patch:
        break_off(patch, "after", "rows", "write")
        with pytest.raises(DiskError, match="disk I/O error"):
            hands.store.take(2, in_order=in_order)
        hands.store.put("volume", 3)
        assert hands.deliver(2, in_order=in_order) == [3]
    assert hands.deliver_all() == [0, 1, 2]
    hands.store.close()


def test_a_limit_that_cannot_be_kept_now_drops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = Hands(tmp_path)
    hands.store = Store(tmp_path / NAME, 100, lambda: 0.0, lambda: 0.0)
    hands.open()
    with monkeypatch.context() as patch:
        break_off(patch, "bytes_waiting")
        for value in range(20):
            assert hands.store.put("volume", value)
        assert (hands.store.dropped, hands.store.waiting) == (0, 20)
    hands.store.put("volume", 20)
    assert hands.store.dropped > 0
    hands.store.close()


def test_a_folder_that_is_taken_away_leaves_all_in_memory(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    hands = filled(tmp_path / "state")
    shutil.rmtree(tmp_path / "state")
    hands.store.put("volume", 3)
    assert (hands.store.waiting, hands.store.status()["in_memory"]) == (4, 4)
    assert hands.deliver_all() == [0, 1, 2, 3]
    assert hands.store.waiting == 0
    hands.store.close()


def test_a_file_that_is_taken_away_and_cannot_be_read_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = filled(tmp_path, [0])
    hands.store.put("device_info", {"ip": "old"})
    (tmp_path / NAME).unlink()
    break_off(monkeypatch, "everything")
    hands.store.put("device_info", {"ip": "new"})
    assert hands.store.waiting == 1
    assert hands.deliver_all() == [{"ip": "new"}]
    hands.store.close()


def test_rows_that_another_hand_has_deleted_wait_no_more(tmp_path: Path) -> None:
    hands = filled(tmp_path)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("DELETE FROM report WHERE id = 3")
    db.close()
    assert hands.deliver(2, in_order=False) == [0, 1]
    assert hands.store.waiting == 0
    hands.store.close()


# What the queue knows of itself.


def test_an_update_s_report_on_a_disk_that_takes_nothing_is_queued_once(tmp_path: Path) -> None:
    hands = Hands(tmp_path / "none")
    hands.open()
    for _put in range(3):
        with pytest.raises(NotStoredError):
            hands.store.put("ota_event", {"event": 10}, once="77:final")
    assert hands.store.waiting == 1
    (tmp_path / "none").mkdir()
    hands.now += REOPEN_SECONDS + 1
    assert not hands.store.put("ota_event", {"event": 10}, once="77:final")
    assert hands.deliver_all() == [{"event": 10}]
    hands.store.close()


def test_memory_keeps_reports_on_updates_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_held, "ROWS_MAX", 3)
    hands = Hands(tmp_path / "none")
    hands.open()
    for event in range(5):
        hands.store.put("ota_event", {"event": event})
    assert hands.deliver_all() == [{"event": event} for event in range(5)]
    assert hands.store.dropped == 0


def test_an_answer_that_comes_twice_removes_nothing_more(tmp_path: Path) -> None:
    hands = Hands(tmp_path / "none")
    hands.open()
    for value in range(2):
        hands.store.put("volume", value)
    sent = hands.store.take(1, in_order=True)
    for _answer in range(2):
        hands.store.finish(sent, at_once=True)
    assert hands.store.waiting == 1


def test_the_answer_to_an_identity_report_does_not_remove_the_one_that_replaced_it(
    tmp_path: Path,
) -> None:
    hands = Hands(tmp_path)
    hands.open().put("device_info", {"ip": "old"})
    sent = hands.store.take(1, in_order=True)
    hands.store.put("device_info", {"ip": "new"})
    hands.store.finish(sent, at_once=True)
    assert hands.deliver_all() == [{"ip": "new"}]
    hands.store.close()


def test_names_that_were_told_past_the_disk_are_remembered_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.link.outbox_store, "ONCE_LIMIT", 2)
    hands = Hands(tmp_path / "none")
    hands.open()
    for name in "abc":
        with pytest.raises(NotStoredError):
            hands.store.put("ota_event", {"event": 1}, once=name)
        hands.deliver_all()
    assert not hands.store.put("ota_event", {"event": 1}, once="b")
    with pytest.raises(NotStoredError):
        hands.store.put("ota_event", {"event": 1}, once="a")
    assert hands.store.waiting == 1


def test_more_reports_than_are_read_at_once_come_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.link.outbox_store, "READ_AT_ONCE", 3)
    hands = filled(tmp_path, range(10))
    assert hands.deliver(8) == list(range(8))
    assert hands.deliver(8) == [8, 9]
    hands.store.close()


def test_values_that_a_cloud_cannot_take_late_are_dropped_and_said_now_and_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hands = filled(tmp_path, range(12))
    for _report in range(12):
        hands.store.drop_late(hands.store.take(1, in_order=True))
    assert (hands.store.waiting, hands.store.status()["outdated"]) == (0, 12)
    said = [r.getMessage() for r in caplog.records if "cannot take them late" in r.getMessage()]
    assert [text.split()[1] for text in said] == ["1", "10"]
    hands.store.close()


# Rows.


def test_of_several_damaged_rows_the_first_is_named_and_all_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hands = filled(tmp_path, range(4))
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE report SET body = '{}' WHERE id IN (2, 3)")
    db.close()
    assert hands.deliver(9) == [0, 3]
    assert hands.store.status()["damaged"] == 2
    assert caplog.text.count("is set aside") == 1
    hands.store.close()


def test_a_damaged_newest_value_does_not_keep_the_others(tmp_path: Path) -> None:
    hands = filled(tmp_path, range(4))
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("UPDATE report SET body = '{}' WHERE id = 4")
    db.close()
    assert hands.deliver(2, in_order=False) == [0, 1]
    assert hands.deliver(1) == [2]
    assert hands.store.status()["damaged"] == 1
    hands.store.close()


WRONG: dict[str, tuple[list[object], str]] = {
    "too long": ([b"a", b"x" * (BODY_MAX + 1), BODY_MAX + 1], "expected at most 60000"),
    "no JSON": ([b"a", b"{half", 5], "body: not JSON"),
    "too deep": (
        [b"a", b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", 18006],
        "body: not usable JSON",
    ),
    "another member": ([b"a", b'{"b":1}', 7], "expected one member, named as the key"),
    "a number for a key": ([7, b"{}", 2], "key: got int, expected text"),
    "another checksum": ([b"a", b'{"a":1}', 7, None, None, None, 5], "crc: got 5"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_row_that_is_no_report_is_refused_with_its_reason(case: str) -> None:
    columns, said = WRONG[case]
    with pytest.raises(BadRowError, match=said):
        parse_row(columns)


@pytest.mark.parametrize("number", [0, -1, True, "1", None])
def test_a_number_that_is_none_leaves_a_row_without_an_identity(number: object) -> None:
    row = parse_row([b"a", b'{"a":1}', 7, b"0123456789abcdef", number])
    assert (row.epoch, row.number, row.data) == (None, None, {"a": 1})


def test_names_and_rows_that_the_card_changed_are_not_salvaged(tmp_path: Path) -> None:
    hands = filled(tmp_path, [0])
    with sqlite3.connect(tmp_path / NAME) as db:
        names = [("77:final",), ("7\n7",), ("x" * (ONCE_MAX + 1),)]
        db.executemany("INSERT INTO once (name) VALUES (?)", names)
        db.execute("INSERT INTO report (key, body, size) VALUES ('volume', '{', 1)")
    db.close()
    hands.store.close()
    found = read_rows(tmp_path / NAME)
    assert (found.once, found.damaged, len(found.rows)) == (["77:final"], 1, 1)
    assert "1 waiting reports were saved, 1 could not be read" in found.describe()
    assert Salvaged(unseen=3).describe().endswith("up to 3 more are missing")


def test_blocks_that_the_card_cannot_read_are_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread

    def pread(descriptor: int, length: int, at: int) -> bytes:
        if at == BLOCK:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, length, at)

    monkeypatch.setattr(os, "pread", pread)
    (tmp_path / "file").write_bytes(b"x" * (2 * BLOCK + 5))
    assert read_file(tmp_path / "file") == b"x" * BLOCK + bytes(BLOCK) + b"x" * 5


def test_of_a_file_the_first_64_mib_are_read(tmp_path: Path) -> None:
    """Damage may say any length; what is read is in memory."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(64 * 2**20 + 5)
    assert len(read_file(tmp_path / "file")) == 64 * 2**20


def test_a_file_that_is_read_does_not_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged one is read each minute for as long as the disk takes nothing."""
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    opened, closed = [], []
    real_open, real_close = os.open, os.close

    def opens(path: Path, flags: int) -> int:
        opened.append(real_open(path, flags))
        return opened[-1]

    def closes(descriptor: int) -> None:
        closed.append(descriptor)
        real_close(descriptor)

    monkeypatch.setattr(os, "open", opens)
    monkeypatch.setattr(os, "close", closes)
    found = [read_file(tmp_path / name) for name in ("file", "pipe", "none")]
    monkeypatch.undo()
    assert (found, len(opened)) == ([b"x", b"", b""], 2)
    assert closed == opened


# The queue of the agent's loop.


async def test_a_queue_in_memory_is_told_at_the_start_and_with_each_report_that_must_not_be_lost(
    tmp_path: Path,
) -> None:
    outbox = Outbox(tmp_path / "none" / NAME, 10**6)
    why = await outbox.open()
    assert why is not None
    assert "unable to open database file" in why
    await outbox.put("volume", 1)
    with pytest.raises(OutboxError, match="unable to open database file"):
        await outbox.put("ota_event", {"event": 10}, once="77:final")
    status = outbox.status()
    assert (status["waiting"], status["in_memory"]) == (2, 2)
    assert "unable to open" in str(status["trouble"])
    await outbox.drop_late(await outbox.take())
    assert outbox.status()["outdated"] == 1
    await outbox.close()


async def test_what_is_delivered_is_deleted_by_and_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path / NAME, 10**6)
    assert await outbox.open() is None
    await outbox.put("volume", 1)
    await outbox.finish(await outbox.take(), at_once=False)
    rows = outbox._store._disk.read
    assert await outbox._run(rows, OutboxFile.counts) == {"volume": 1}
    monkeypatch.setattr(agent.link.outbox, "TEND_SECONDS", 0.0)
    tending = asyncio.create_task(outbox.tend())
    async with asyncio.timeout(DEADLINE):
        while await outbox._run(rows, OutboxFile.counts):
            pass
    tending.cancel()
    await asyncio.wait([tending])
    await outbox.close()


async def test_a_report_that_comes_while_the_queue_is_found_empty_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path / NAME, 10**6)
    await outbox.open()
    real = outbox._take

    async def take(limit: int, *, in_order: bool) -> object:
        found = await real(limit, in_order=in_order)
        if not found:
            await outbox.put("volume", 5)
        return found

    monkeypatch.setattr(outbox, "_take", take)
    (report,) = await outbox.take()
    assert report.data == {"volume": 5}
    assert not outbox.emptied.is_set()
    await outbox.close()


def test_a_row_reads_as_it_was_made() -> None:
    row = make_row("volume", 5, "0123456789abcdef", 3, 1_800_000_000_000)
    columns = [row.key, row.body, row.size, row.epoch, row.number, row.time, row.crc]
    assert parse_row(columns) == row
