"""The cloud on a store that cannot be written: devices stay, control and reads work, reports come later.

Tests staging.gateway.presence and staging.gateway.intake too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from staging.errors import StoreFullError
from staging.store import Database, apps, devices, outage
from staging.store.apps import Nonce
from staging.store.models import Device, Report
from wire.codes import Code
from wire.exchange import Answer
from wire.reports import abilities_report

UUID = "0083000000000a"
ANSWERS = {("GET", "volume"): Answer(Code.CONTENT, b"5"), ("PUT", "volume"): Answer(Code.CHANGED)}
TABLES = ("reports", "used_nonces", "devices")
NO_ROOM = """
    CREATE OR REPLACE FUNCTION no_room() RETURNS trigger AS
    $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$ LANGUAGE plpgsql
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try a full disk again at once; what fits on it by chance is not its end, `Disk.free` is."""
    monkeypatch.setattr(outage, "FULL_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(outage, "QUIET_SECONDS", 3600.0)


class Disk:
    """A disk that a test fills, for either database: no page of SQLite's, no row of PostgreSQL's."""

    def __init__(self, database: Database, app_id: int, *, is_file: bool) -> None:
        self._database, self._app_id, self._is_file = database, app_id, is_file

    def fill(self) -> None:
        if not self._is_file:
            self._each(NO_ROOM, *(
                f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION no_room()"
                for table in TABLES
            ))  # fmt: skip
            return
        self._each("PRAGMA max_page_count=1")
        for length in (400, 4):
            with contextlib.suppress(StoreFullError):
                while True:
                    nonce = Nonce(self._app_id, secrets.token_hex(length), 0)
                    self._database.call(apps.remember_nonces, [nonce])

    def free(self) -> None:
        outage.QUIET_SECONDS = 0.0  # `impatient` puts it back
        if self._is_file:
            self._each("PRAGMA max_page_count=1000000")
        else:
            self._each(*(f"DROP TRIGGER IF EXISTS no_room ON {table}" for table in TABLES))

    def _each(self, *statements: str) -> None:
        def run(session: Any) -> None:
            for statement in statements:
                session.connection().exec_driver_sql(statement)

        self._database.call(run)


@pytest.fixture
def disk(cloud: Any, database_kind: str) -> Iterator[Disk]:
    made = Disk(cloud.database, cloud.app.id, is_file=database_kind == "sqlite")
    yield made
    made.free()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [r for r in caplog.records if r.name.startswith("staging")]
    return [r.getMessage() for r in told if r.levelno >= logging.WARNING]


async def test_devices_stay_and_reports_come_later(
    cloud: Any, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.bind()
    device = await cloud.register(answers=ANSWERS)
    caplog.clear()
    disk.fill()
    long = {"power": 7, "note": "x" * 9000}
    for _ in range(20):
        assert (await device.report({"alive": 0})).code == Code.CHANGED
        refused = await device.report(long)
        assert (refused.code, refused.again) == (Code.SERVICE_UNAVAILABLE, 10)
    assert (
        await device.report(abilities_report(UUID, frozenset({"deadline"})))
    ).code == Code.CHANGED
    assert len(told(caplog)) == 1
    assert cloud.database.call(lambda session: session.query(Report).count()) == 0
    disk.free()
    assert (await device.report(long)).code == Code.CHANGED
    assert len(told(caplog)) == 2
    assert "takes writes again" in told(caplog)[1]


async def test_control_and_reads_work(cloud: Any, disk: Disk) -> None:
    cloud.bind()
    device = await cloud.register(answers=ANSWERS)
    disk.fill()
    headers = cloud.headers()
    put = {"deviceUuid": UUID, "method": "PUT", "name": "volume", "content": "5"}
    first = await cloud.http.post("/v1/device/control/send", json=put, headers=headers)
    assert first.json()["data"]["code"] == "2.04"
    again = await cloud.http.post("/v1/device/control/send", json=put, headers=headers)
    assert again.status_code == 401  # its nonce was used, though the store has no room for it
    for path in ("/device/info/by_uuid", "/device/query/data/history", "/device/resource"):
        assert (await cloud.get(path, deviceUuid=UUID)).status_code == 200
    refused = await cloud.put("/device/name/update", deviceUuid=UUID, name="bear" * 16)
    assert refused.status_code in {201, 503}
    assert device.connection.close_reason is None
    disk.free()
    await cloud.nonces.save()
    again = await cloud.http.post("/v1/device/control/send", json=put, headers=headers)
    assert again.status_code == 401
    claimed = Nonce(cloud.app.id, headers["X-IOT-Signature"].split(":")[0], 0)
    assert cloud.database.call(apps.claim_nonce, claimed) is False


@pytest.mark.parametrize("registered_before", [True, False])
async def test_devices_register(cloud: Any, disk: Disk, *, registered_before: bool) -> None:
    if registered_before:
        await (await cloud.register()).close()
    disk.fill()
    device = await cloud.connect(answers=ANSWERS)
    assert (await device.register()).code == Code.CONTENT
    disk.free()
    await cloud.gateway.save_heard()
    stored = cloud.database.call(lambda session: session.query(Device).one())
    assert (stored.status, stored.last_heartbeat_time) == ("ACTIVATED", cloud.clock.now)


@pytest.mark.one_database
async def test_what_is_told_to_have_failed_is_not_done_later(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite may undo the whole transaction of a batch: what follows would be committed alone."""
    begun, go = threading.Event(), threading.Event()

    def first(session: Any) -> None:
        session.get_one(Device, cloud.device.id).name = "first"

    def fail(session: Any) -> None:
        session.connection().exec_driver_sql("ROLLBACK")
        raise full_error()

    def last(session: Any) -> None:
        session.get_one(Device, cloud.device.id).name = "last"

    commit = Database._commit
    batches: list[Any] = []

    def gather(self: Database, batch: Any) -> None:
        batches.append(len(batch))
        commit(self, batch)

    monkeypatch.setattr(Database, "_commit", gather)

    def hold(_session: Any) -> None:
        begun.set()
        assert go.wait(30)

    holding = asyncio.create_task(cloud.database.write(hold))
    await asyncio.to_thread(begun.wait, 30)
    tasks = [asyncio.create_task(cloud.database.write(work)) for work in (first, fail, last)]
    await asyncio.sleep(0)
    go.set()
    await holding
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert batches[-1] == 3
    assert [type(result) for result in results] == [StoreFullError] * 3
    assert cloud.database.call(lambda session: session.get_one(Device, cloud.device.id).name) == ""
    await cloud.database.write(last)


@pytest.mark.one_database
def test_a_disk_without_room_for_a_log_is_read_from_the_start(
    where: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(Database(where)) as database:
        database.call(devices.add, UUID, 0)
    monkeypatch.setattr("staging.store.schema.bring_up_to_date", _full)
    with contextlib.closing(Database(where)) as database:
        assert [view.device.uuid for view in database.call(devices.views)] == [UUID]
        with pytest.raises(StoreFullError, match="its disk is full"):
            database.call(devices.add, None, 0)


def full_error() -> OperationalError:
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    return OperationalError("PRAGMA", {}, cause)


def _full(*_: Any) -> None:
    raise full_error()
