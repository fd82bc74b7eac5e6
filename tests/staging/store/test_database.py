"""The store itself: transactions, the writer's queue, its limits, and two processes at once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from staging.errors import StagingError, StoreBusyError
from staging.store import Database, devices, engine
from staging.store import database as database_module
from staging.store.models import Device, Product, Report

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BUSY_TIMEOUT_MS = 5000
READ_THREADS = 4


def count(session: Any, table: type) -> int:
    return int(session.scalar(select(func.count()).select_from(table)))


@pytest.mark.one_database
def test_the_file_is_as_safe_as_it_should_be(database: Database) -> None:
    def pragmas(session: Any) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [session.scalar(text(f"PRAGMA {name}")) for name in names]

    assert database.call(pragmas) == ["wal", 2, 1, 12 * BUSY_TIMEOUT_MS]  # `patient_stores`


async def test_a_store_whose_connections_are_all_in_use_is_busy(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "POOL_TIMEOUT_S", 0.01)
    store = Database(database.address)
    held = [store._reader.connect() for _ in range(READ_THREADS)]
    with pytest.raises(StoreBusyError, match="QueuePool limit"):
        await store.read(count, Device)
    held.pop().close()
    assert await store.read(count, Device) == 0
    with store._writer.connect(), pytest.raises(StoreBusyError, match="QueuePool limit"):
        await store.write(count, Device)
    assert await store.write(count, Device) == 0
    for connection in held:
        connection.close()
    store.close()


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def fail(session: Any) -> None:
        devices.add(session, None, 0)
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError):
        database.call(fail)
    assert database.call(count, Device) == 0
    assert database.call(count, Product) == 0


def test_foreign_keys_are_checked(database: Database) -> None:
    def orphan(session: Any) -> None:
        session.add(Report(device_id=99, ts=1, key="k", kind="REPORT", value=1))

    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        database.call(orphan)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match="unable to open database file"):
        Database(tmp_path / "none" / "cloud.sqlite")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "cloud.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(StagingError, match="file is not a database"):
        Database(tmp_path / "cloud.sqlite")


def test_what_was_written_is_there_after_opening_again(where: Path | str) -> None:
    for expected in (0, 1):
        database = Database(where)
        assert database.call(count, Device) == expected
        database.call(devices.add, None, 0)
        database.close()


def test_reads_cannot_write(database: Database) -> None:
    async def read() -> None:
        await database.read(devices.add, None, 0)

    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        asyncio.run(read())


def test_two_processes_write_side_by_side(database: Database, where: Path | str) -> None:
    other = Database(where)
    errors: list[Exception] = []

    def add(where: Database) -> None:
        try:
            for _ in range(20):
                where.call(devices.add, None, 0)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=add, args=(where,)) for where in (database, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert errors == []
    assert database.call(count, Device) == 40


async def test_writes_that_wait_together_share_a_commit_and_fail_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    commits: list[int] = []
    commit = Database._commit

    def watch(self: Database, batch: Any) -> None:
        commits.append(len(batch))
        commit(self, batch)

    monkeypatch.setattr(Database, "_commit", watch)

    def first(_session: Any) -> None:
        begun.set()
        assert go.wait(60)

    def fail(session: Any) -> None:
        devices.add(session, None, 0)
        raise RuntimeError("alone")

    holding = asyncio.create_task(database.write(first))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [
        asyncio.create_task(database.write(work))
        for work in (lambda s: devices.add(s, None, 0), fail, lambda s: devices.add(s, None, 0))
    ]
    await asyncio.sleep(0)
    go.set()
    await holding
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["Device", "RuntimeError", "Device"]
    assert commits == [1, 3]
    assert await database.read(count, Device) == 2


async def test_a_write_alone_that_fails_leaves_nothing_and_stops_no_other(
    database: Database,
) -> None:
    def fail(session: Any) -> None:
        devices.add(session, None, 0)
        session.flush()
        raise RuntimeError("alone")

    with pytest.raises(RuntimeError, match="alone"):
        await database.write(fail)
    await database.write(lambda session: devices.add(session, None, 0))
    assert await database.read(count, Device) == 1


async def test_the_writers_queue_is_bounded(
    where: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "WRITE_QUEUE_LIMIT", 1)
    database = Database(where)
    begun, go = threading.Event(), threading.Event()

    def first(_session: Any) -> None:
        begun.set()
        assert go.wait(60)

    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(database.write(first))]
    await asyncio.to_thread(begun.wait, 10)
    tasks.append(asyncio.create_task(database.write(devices.views)))
    await asyncio.sleep(0)
    with pytest.raises(StoreBusyError, match="1 writes wait"):
        await database.write(devices.views)
    go.set()
    await asyncio.gather(*tasks)
    database.close()


async def test_the_readers_queue_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "READ_QUEUE_LIMIT", 1)
    begun, go = threading.Event(), threading.Event()

    def first(_session: Any) -> None:
        begun.set()
        assert go.wait(60)

    holding = asyncio.create_task(database.read(first))
    await asyncio.to_thread(begun.wait, 10)
    with pytest.raises(StoreBusyError, match="1 reads wait"):
        await database.read(devices.views)
    go.set()
    await holding
    assert await database.read(devices.views) == []


async def test_closing_finishes_what_waits(where: Path | str) -> None:
    database = Database(where)
    tasks = [asyncio.create_task(database.write(devices.add, None, 0)) for _ in range(100)]
    await asyncio.sleep(0)
    await asyncio.to_thread(database.close)
    assert len({device.uuid for device in await asyncio.gather(*tasks)}) == 100
