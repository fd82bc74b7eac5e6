"""A disk that is full, read-only, failing or not ours: the queue goes on in memory, and says so once.

Tests agent.link.outbox_held too.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

import agent.link.outbox_disk
from agent.link.outbox_disk import DiskError
from agent.link.outbox_file import OutboxFile
from agent.link.outbox_store import NotStoredError, Store
from wire.reports import KEY_TROUBLE

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BYTES_MAX = 262_144

NAME = "outbox.sqlite"


class Hands:
    """A store, and the hands that fill its disk and read from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 0.0
        self.store = Store(folder / NAME, 10**6, time.time, lambda: self.now)

    def open(self) -> Store:
        try:
            self.store.open()
        except DiskError:
            assert self.store.status()["trouble"]
        return self.store

    def deliver(self, limit: int = 1, *, in_order: bool = True) -> list[object]:
        """Take reports, as when the cloud has them; return the values."""
        found = self.store.take(limit, in_order=in_order)
        self.store.finish(found, at_once=True)
        return [next(iter(report.data.values())) for report in found]

    def deliver_all(self) -> list[object]:
        values: list[object] = []
        while found := self.deliver(50):
            values += found
        return values

    def fill_disk(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass

    def free_disk(self) -> None:
        (self.folder / "ballast").unlink()

    def remount(self, mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Hands]:
    """Mount a file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs takes root")
    hands = Hands(folder)
    yield hands
    hands.store.close()
    subprocess.run(["umount", "-l", folder], check=True)


def test_on_a_full_disk_each_report_is_sent_once_and_the_queue_goes_on(
    disk: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    store = disk.open()
    for level in range(100):
        store.put("volume", level)
    disk.fill_disk()
    for level in range(100, 130):
        assert store.put("volume", level)
    assert disk.deliver_all() == list(range(130))
    assert store.waiting == 0
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1
    disk.free_disk()
    store.close()
    assert Hands(disk.folder).open().waiting == 0


def test_what_was_put_on_a_full_disk_is_stored_when_there_is_room(
    disk: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    store = disk.open()
    store.put("volume", 1)
    disk.fill_disk()
    for level in range(2, 40):
        store.put("volume", level)
    with pytest.raises(NotStoredError, match="full"):
        store.put("ota_event", {"event": 10}, once="77:final")
    assert store.status()["in_memory"]
    disk.free_disk()
    with caplog.at_level("INFO"):
        assert store.tend()
    assert "takes reports again" in caplog.text
    assert store.status() | {"trouble": None, "in_memory": 0} == store.status()
    assert not store.put("ota_event", {"event": 10}, once="77:final")
    again = Hands(disk.folder)
    assert again.open().waiting == 40
    assert again.deliver_all() == [*range(1, 40), {"event": 10}]
    again.store.close()


def test_a_final_report_is_told_past_a_full_disk_and_not_twice(disk: Hands) -> None:
    store = disk.open()
    disk.fill_disk()
    with pytest.raises(NotStoredError):
        store.put("ota_event", {"event": 10}, once="77:final")
    assert disk.deliver_all() == [{"event": 10}]
    assert not store.put("ota_event", {"event": 10}, once="77:final")
    assert disk.deliver_all() == []
    assert store._once_held == {}  # it is delivered, and waits nowhere
    disk.free_disk()
    assert not store.put("ota_event", {"event": 10}, once="77:final")
    store.close()
    assert not Hands(disk.folder).open().put("ota_event", {"event": 10}, once="77:final")


def test_a_value_that_memory_delivered_makes_older_ones_late_and_no_newer_one(disk: Hands) -> None:
    store = disk.open()
    store.put("volume", 1)
    store.put("volume", 2)
    disk.fill_disk()
    while store.put("volume", 3) and not store.status()["in_memory"]:
        pass
    (newest,) = disk.deliver(1, in_order=False)
    assert newest == 3
    disk.free_disk()
    store.put("volume", 4)
    store.close()
    again = Hands(disk.folder).open()
    (first,) = again.take(1, in_order=False)
    assert (first.data, first.late) == ({"volume": 4}, False)
    again.finish([first], at_once=True)
    assert {report.late for report in again.take(99, in_order=False)} == {True}
    again.close()


def test_an_identity_report_that_is_replaced_on_a_full_disk_is_not_sent(disk: Hands) -> None:
    store = disk.open()
    store.put("device_info", {"ip": "old"})
    disk.fill_disk()
    for number in range(2000):
        store.put("device_info", {"ip": number})
    assert store.status()["in_memory"]
    assert disk.deliver_all() == [{"ip": 1999}]


def test_a_version_that_ran_while_the_disk_was_full_is_told_beside_the_one_after_it(
    disk: Hands,
) -> None:
    store = disk.open()
    store.put("package_info", {"version": "1"})
    disk.fill_disk()
    for version in "12321":
        store.put("package_info", {"version": version})
    assert store.waiting == 3
    assert disk.deliver_all() == [{"version": version} for version in "321"]


def test_a_report_that_moves_to_the_disk_while_it_is_sent_is_not_sent_again(disk: Hands) -> None:
    store = disk.open()
    disk.fill_disk()
    while store.put("volume", 1) and not store.status()["in_memory"]:
        pass
    disk.deliver_all()
    store.put("volume", 2)
    sent = store.take(1, in_order=True)
    disk.free_disk()
    store.put("volume", 3)
    assert store.status()["in_memory"] == 0
    store.finish(sent, at_once=True)
    assert disk.deliver_all() == [3]


def test_an_outbox_on_a_read_only_disk_is_read_and_delivered(disk: Hands, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    store = Hands(tmp_path / "before").open()
    for level in range(20):
        store.put("volume", level)
    for path in (tmp_path / "before").iterdir():  # as kill -9 leaves it
        shutil.copy(path, disk.folder)
    store.close()
    disk.remount("ro")
    disk.open().put("volume", 20)
    assert disk.deliver_all() == list(range(21))
    disk.store.put("volume", 21)
    disk.remount("rw")
    assert not disk.store.tend()
    disk.now += agent.link.outbox_disk.REOPEN_SECONDS + 1
    assert disk.store.tend()
    assert disk.deliver_all() == [21]
    disk.store.close()
    assert Hands(disk.folder).open().waiting == 0


def test_a_folder_that_is_not_there_or_not_ours_is_a_queue_in_memory(tmp_path: Path) -> None:
    for folder in (tmp_path / "none", Path("/proc/1")):
        hands = Hands(folder)
        hands.open()
        hands.store.put("volume", 1)
        assert hands.deliver_all() == [1]
        hands.store.close()


def test_damage_on_a_full_disk_costs_nothing_that_is_readable(disk: Hands) -> None:
    store = disk.open()
    for level in range(200):
        store.put("volume", level)
    store.close()
    with (disk.folder / NAME).open("r+b") as file:
        file.write(bytes(4096))
    disk.fill_disk()
    again = Hands(disk.folder)
    again.open().put("volume", 200)
    values = again.deliver_all()
    assert [value for value in values if isinstance(value, int)] == list(range(201))
    again.store.close()


def test_what_a_file_that_cannot_be_written_gave_is_the_file_s_again_when_it_can(
    disk: Hands,
) -> None:
    store = disk.open()
    for level in range(20):
        store.put("volume", level)
    store.put("ota_event", {"event": 10}, once="77:final")
    store.close()
    with (disk.folder / NAME).open("r+b") as file:
        file.write(bytes(4096))
    disk.fill_disk()
    again = Hands(disk.folder)
    store = again.open()
    assert not store.put("ota_event", {"event": 10}, once="77:final")
    assert again.deliver(2) == [0, 1]
    sent = store.take(3, in_order=True)
    disk.free_disk()
    again.now += 61
    assert store.tend()
    assert store.status()["in_memory"] == 0
    store.finish(sent, at_once=True)
    told = again.deliver_all()
    assert told[:16] == [*range(5, 20), {"event": 10}]
    assert len(told) == 17  # the loss is told too, once
    store.close()
    assert Hands(disk.folder).open().waiting == 0


def test_what_ends_with_the_agent_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hands = Hands(tmp_path / "none")
    store = hands.open()
    store.put("volume", 1)
    store.put("play", "x")
    store.close()
    assert "2 reports in memory end with the agent" in caplog.text


def test_memory_is_bounded_and_keeps_the_newest_value_of_each_data_point(tmp_path: Path) -> None:
    hands = Hands(tmp_path / "none")
    store = hands.open()
    store.put("volume", 7)
    for number in range(2000):
        store.put("play", f"{number} " + "x" * 1000)
    assert store.dropped == 2002 - store.waiting  # with the one that tells of it
    assert store.waiting * 1000 < BYTES_MAX * 1.1
    values = hands.deliver_all()
    assert values[0] == 7
    assert any(str(value).startswith("1999 ") for value in values)


class FailingDatabase:
    """A connection whose statement number ``fails_at`` finds no room, as does all after it."""

    def __init__(self, real: sqlite3.Connection, fails_at: int) -> None:
        self._real = real
        self.left = fails_at

    def _count(self) -> None:
        self.left -= 1
        if self.left <= 0:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

    def execute(self, statement: str, *values: Any) -> object:
        if not statement.startswith("SELECT"):
            self._count()
        return self._real.execute(statement, *values)

    def executemany(self, statement: str, values: object) -> object:
        self._count()
        return self._real.executemany(statement, values)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        self._real.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._real.__exit__(*error)  # type: ignore[arg-type]

    def close(self) -> None:
        self._real.close()


@pytest.mark.parametrize("fails_at", range(1, 9))
def test_no_statement_that_fails_loses_or_repeats_a_report(fails_at: int, tmp_path: Path) -> None:
    hands = Hands(tmp_path)
    store = hands.open()
    for level in range(3):
        store.put("volume", level)
    file = store._disk._file
    assert isinstance(file, OutboxFile)
    real = file._db
    file._db = FailingDatabase(real, fails_at)  # type: ignore[assignment]
    values = hands.deliver(2)
    with contextlib.suppress(NotStoredError):
        store.put("ota_event", {"event": 1}, once="77")
    store.put("volume", 3)
    values += hands.deliver(1, in_order=False)
    file._db = real
    assert store.tend()
    values += hands.deliver_all()
    assert sorted(map(str, values)) == ["0", "1", "2", "3", "{'event': 1}"]
    assert not store.put("ota_event", {"event": 1}, once="77")
    store.close()
    assert Hands(tmp_path).open().waiting == 0


def test_what_cannot_be_read_is_an_error_unless_memory_has_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worn(*_: object) -> None:
        raise OSError(5, "Input/output error")

    hands = Hands(tmp_path)
    store = hands.open()
    store.put("volume", 1)
    with monkeypatch.context() as patch:
        patch.setattr(OutboxFile, "after", worn)
        with pytest.raises(DiskError, match="Input/output error"):
            store.take(5, in_order=True)
        patch.setattr(OutboxFile, "write", worn)
        store.put("play", "x")
        assert [report.data for report in store.take(5, in_order=True)] == [{"play": "x"}]
    assert hands.deliver_all() == [1, "x"]
    store.close()


def test_a_report_that_is_not_in_the_file_any_more_does_not_wait(tmp_path: Path) -> None:
    store = Hands(tmp_path).open()
    for key, value in (("volume", 1), ("volume", 2), ("play", "x"), ("play", "y")):
        store.put(key, value)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("DELETE FROM report WHERE id = 4")
    db.close()
    assert [report.data for report in store.take(2, in_order=False)] == [{"volume": 2}]
    assert store.waiting == 3
    store.close()


def test_what_was_dropped_is_told_once_at_a_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / NAME, 64 * 1024, time.time, time.monotonic)
    store.open()
    for number in range(200):
        store.put("play", f"{number} " + "x" * 1000)
    told = [report for report in store.take(999, in_order=False) if report.key == KEY_TROUBLE]
    assert len(told) == 1
    assert "data-point reports dropped" in str(told[0].data)
    store.finish(told, at_once=True)
    (again,) = [r for r in store.take(999, in_order=False) if r.key == KEY_TROUBLE]
    assert f"{store.dropped} data-point" in str(again.data)
    store.finish([again], at_once=True)
    assert not [r for r in store.take(999, in_order=False) if r.key == KEY_TROUBLE]
    logged = [int(line.split()[2]) for line in caplog.messages if "dropped so far" in line]
    assert logged[0] == 1
    assert all(later >= 2 * sooner for sooner, later in itertools.pairwise(logged))
    assert 2 * logged[-1] > store.dropped
    store.close()
