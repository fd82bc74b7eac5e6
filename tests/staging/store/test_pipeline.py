"""Look-ups that share one connection of PostgreSQL's: in their order, each for itself, and none lost."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Integer, bindparam, func, select

from staging.store import Database, devices, pipeline
from staging.store.devices import IDENTITY
from staging.store.lookups import Lookup, NotHereError
from staging.store.models import Device
from staging.store.pipeline import PostgresqlReader

pytestmark = pytest.mark.one_database("postgresql")

NUMBERED = Lookup(select(Device.uuid).where(Device.id == bindparam("number", type_=Integer())))


@pytest.fixture
def reader(database: Database) -> PostgresqlReader:
    return PostgresqlReader(database._url)


async def test_many_at_once_get_each_its_own(database: Database, reader: PostgresqlReader) -> None:
    made = [database.call(devices.add, None, 0) for _ in range(5)]
    asked = [made[n % 5] if n % 7 else None for n in range(300)]
    found = await asyncio.gather(
        *(reader.find(NUMBERED, {"number": each.id if each else -1}) for each in asked)
    )
    assert found == [(each.uuid,) if each else None for each in asked]
    await reader.close()


async def test_one_who_gave_up_does_not_shift_the_others(
    database: Database, reader: PostgresqlReader
) -> None:
    device = database.call(devices.add, None, 0)
    await reader.find(NUMBERED, {"number": 0})
    left = [asyncio.create_task(reader.find(NUMBERED, {"number": -1})) for _ in range(3)]
    await asyncio.sleep(0)
    left[1].cancel()
    assert await reader.find(NUMBERED, {"number": device.id}) == (device.uuid,)
    assert await left[0] is None
    assert await left[2] is None
    await reader.close()


async def test_a_connection_that_ended_is_made_anew_by_a_thread(database: Database) -> None:
    device = database.call(devices.add, None, 0)
    await database.find(IDENTITY, uuid=device.uuid)
    end = select(func.pg_terminate_backend(bindparam("pid", type_=Integer())))
    quick = database._quick
    assert isinstance(quick, PostgresqlReader)
    assert quick._line is not None
    pid = quick._line._pg.backend_pid
    database.call(lambda session: session.execute(end, {"pid": pid}))
    found = await asyncio.gather(*(database.find(IDENTITY, uuid=device.uuid) for _ in range(20)))
    assert [row is not None and row[0] for row in found] == [device.id] * 20
    assert await database.find(IDENTITY, uuid=device.uuid) is not None


async def test_it_cannot_change_anything(database: Database, reader: PostgresqlReader) -> None:
    database.call(devices.add, None, 0)
    await reader.find(NUMBERED, {"number": 0})
    changing = Lookup(select(func.setval("devices_id_seq", bindparam("number", type_=Integer()))))
    with pytest.raises(NotHereError) as refused:
        await reader.find(changing, changing.parameters({"number": 5}))
    assert "read-only" in str(refused.value.__cause__)
    assert await reader.find(NUMBERED, {"number": 0}) is None
    await reader.close()


async def test_a_text_is_not_cut_off(database: Database, reader: PostgresqlReader) -> None:
    device = database.call(devices.add, None, 0)
    with pytest.raises(NotHereError):
        await reader.find(IDENTITY, IDENTITY.parameters({"uuid": f"{device.uuid}\0"}))
    await reader.close()


async def test_a_row_that_cannot_be_read_is_left_to_a_thread(
    database: Database, reader: PostgresqlReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = database.call(devices.add, None, 0)
    await reader.find(NUMBERED, {"number": 0})
    assert reader._line is not None

    def unreadable(_found: object) -> None:
        raise ValueError("no text")

    with monkeypatch.context() as patch:
        patch.setattr(type(reader._line), "_row", staticmethod(unreadable))
        with pytest.raises(NotHereError):
            await asyncio.wait_for(reader.find(NUMBERED, {"number": device.id}), 60)
    assert await reader.find(NUMBERED, {"number": device.id}) == (device.uuid,)


async def test_a_server_that_does_not_answer_is_not_waited_for(
    reader: PostgresqlReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_arguments: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(pipeline, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(pipeline, "_connect", silent)
    with pytest.raises(NotHereError):
        await asyncio.wait_for(reader.find(NUMBERED, {"number": 0}), 60)
