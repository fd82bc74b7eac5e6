"""The rows of devices: their order, and the latest values and update of each."""

from __future__ import annotations

from typing import Any

from staging.store import Database, accounts, devices, ota, overview, releases, rollout_acts
from staging.store.history import HistoryPoint, append
from staging.store.models import KIND_RESOURCE, Device
from staging.store.releases import StrategyType, Target


def device_of(database: Database, uuid: str, heartbeat: int | None = None) -> Device:
    def make(session: Any) -> Device:
        device = devices.add(session, uuid, 0)
        device.last_heartbeat_time = heartbeat
        return device

    return database.call(make)


def test_the_latest_heartbeat_is_first(database: Database) -> None:
    silent, early, late = (
        device_of(database, uuid * 14, at) for uuid, at in (("a", None), ("b", 5), ("c", 9))
    )
    order = [row.device.uuid for row in database.call(overview.rows)]
    assert order == [late.uuid, early.uuid, silent.uuid]
    found = database.call(overview.by_ids, [silent.id, 99, late.id])
    assert [row.device.uuid for row in found] == [silent.uuid, late.uuid]
    chosen = database.call(overview.rows, {early.uuid, "f" * 14})
    assert [row.device.uuid for row in chosen] == [early.uuid]


def test_a_row_has_the_owner_the_latest_values_and_the_latest_update(database: Database) -> None:
    device = device_of(database, "a" * 14)
    bare = database.call(overview.rows)[0]
    assert (bare.owner, bare.values, bare.task, bare.os_version) == (None, {}, None, "0.0.0.0")

    def use(session: Any) -> None:
        account = accounts.find_or_make(session, "tester", 0)
        devices.bind(session, device.uuid, device.bind_token or "", account.id, 0)
        kept = session.get(Device, device.id)
        append(session, kept, [HistoryPoint("volume", 3), HistoryPoint("volume", 4)], 100)
        append(session, kept, [HistoryPoint("volume", 9, KIND_RESOURCE)], 200)
        append(session, kept, [HistoryPoint("power", 80, KIND_RESOURCE)], 300)
        package = releases.add_package(session, "1.1", Target("p", 1, "0" * 32, "0" * 64), "", 0)
        strategy = releases.add_strategy(session, "1.1", StrategyType.PASSIVE, [], [], 0)
        rollout_acts.start(session, strategy.id, 0)
        ota.create(session, device.id, package.id, None, 0)

    database.call(use)
    row = database.call(overview.rows)[0]
    assert (row.owner, row.target) == ("tester", "1.1")
    assert {key: (value.ts, value.value) for key, value in row.values.items()} == {
        "volume": (101, 4),  # reported, so what was read later does not count
        "power": (300, 80),
    }
    assert row.task is not None
    assert row.task.status == "CREATED"
