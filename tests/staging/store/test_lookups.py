"""Short look-ups without a thread: what they find, and when a thread does them after all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Integer, bindparam, func, make_url, select

from staging.errors import StoreBusyError
from staging.store import Database, devices, engine, lookups
from staging.store.devices import IDENTITY
from staging.store.lookups import Lookup, NotHereError, SqliteReader
from staging.store.models import Device, Report

UUID = "0083000000000a"
SLOW = Lookup(
    select(func.count()).select_from(Device).where(Device.id >= bindparam("low", type_=Integer()))
)


async def test_a_row_or_none(database: Database) -> None:
    device = database.call(devices.add, UUID, 0)
    found = await database.find(IDENTITY, uuid=UUID)
    assert found is not None
    assert (found[0], found[1], found[2], bool(found[3])) == (device.id, UUID, device.token, False)
    assert await database.find(IDENTITY, uuid="f" * 14) is None
    database.call(devices.note_registration, device.id, 1)
    found = await database.find(IDENTITY, uuid=UUID)
    assert found is not None
    assert bool(found[3])


async def test_nothing_waits_for_a_thread(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("a thread was asked")

    monkeypatch.setattr(database._pool, "submit", fail)
    assert await database.find(IDENTITY, uuid=UUID) is None


@pytest.mark.one_database
async def test_a_look_up_that_takes_long_goes_to_a_thread(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "STEPS", 5)
    monkeypatch.setattr(lookups, "STEPS_TIMES", 2)
    for _ in range(30):
        database.call(devices.add, None, 0)
    asked: list[object] = []
    real = database.read

    async def read(work: Any, *arguments: Any) -> Any:
        asked.append(work)
        return await real(work, *arguments)

    monkeypatch.setattr(database, "read", read)
    assert await database.find(SLOW, low=0) == (30,)
    assert len(asked) == 1


@pytest.mark.parametrize(("rows", "is_here"), [(1_000, True), (50_000, False)])
async def test_the_event_loop_works_for_two_milliseconds_at_most(
    tmp_path: Path, rows: int, *, is_here: bool
) -> None:
    """A row of this count takes some ten steps of SQLite's machine, of which 100,000 are too many."""
    sqlite3.connect(tmp_path / "x.sqlite").close()
    lookup: Any = SimpleNamespace(
        sqlite="WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < :rows)"
        " SELECT count(*) FROM c"
    )
    reader = SqliteReader(make_url(f"sqlite:///{tmp_path / 'x.sqlite'}"))
    if is_here:
        assert await reader.find(lookup, {"rows": rows}) == (rows,)
    else:
        with pytest.raises(NotHereError):
            await reader.find(lookup, {"rows": rows})
    await reader.close()


@pytest.mark.one_database
async def test_a_look_up_cannot_change_anything(database: Database) -> None:
    await database.find(IDENTITY, uuid=UUID)
    reader = database._quick
    assert isinstance(reader, lookups.SqliteReader)
    assert reader._connection is not None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM devices")


@pytest.mark.one_database
async def test_a_file_that_is_gone_is_told(database: Database, where: Any) -> None:
    database._reader.dispose()
    database._writer.dispose()
    for end in ("", "-wal", "-shm"):
        where.with_name(where.name + end).unlink(missing_ok=True)
    where.mkdir()
    with pytest.raises(StoreBusyError):
        await database.find(IDENTITY, uuid=UUID)


async def test_both_ways_bind_alike(database: Database) -> None:
    lookup = Lookup(
        select(Report.key).where(Report.ts == 5, Report.device_id == bindparam("device"))
    )
    assert await database.find(lookup, device=1) is None


def damaged_stores(blank: Path, folder: Path) -> Iterator[Path]:
    data = blank.read_bytes()
    assert data.count(b"CREATE TABLE devices (") == 1
    for number, spoilt in enumerate((b"CREATE TABLE \xe4evices (", b"CREATE \xd4ABLE devices (")):
        path = folder / f"{number}.sqlite"
        path.write_bytes(data.replace(b"CREATE TABLE devices (", spoilt))
        yield path


async def test_words_of_a_damaged_schema_are_an_error_of_the_store(
    blank_store: Path, tmp_path: Path
) -> None:
    """Bytes that are no text in SQLite's words: Python raises another error for them than SQLite's."""
    for path in damaged_stores(blank_store, tmp_path):
        reader = SqliteReader(engine.locate(path))
        with pytest.raises((NotHereError, sqlite3.Error)):
            await reader.find(IDENTITY, {"uuid": UUID})
        reader.drop()
