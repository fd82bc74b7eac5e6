"""How versions and batches do, from what was counted and sampled."""

from __future__ import annotations

from typing import Any

import pytest

from staging.store import Database, devices, health, ota, products, releases, rollout_acts
from staging.store.health import DAY_MS, HOUR_MS, Counts
from staging.store.models import Device, OtaTask
from staging.store.releases import StrategyType, Target

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PART_MS = 300_000
SAMPLES_KEPT_MS = 1_209_600_000
KEPT_MS = 3_456_000_000


NOW = 100 * DAY_MS + 1000
MINUTE = 60_000


def made(session: Any) -> tuple[int, list[int]]:
    """Make three devices of version 1.0, of which the last was heard long ago, and one of 2.0."""
    every = [devices.add(session, digit * 14, 0) for digit in "abcd"]
    for device, version in zip(every, ("1.0", "1.0", "1.0", "2.0"), strict=True):
        device.os_version_id = products.os_version(session, device.product_id, version).id
        device.last_heartbeat_time = NOW
    every[2].last_heartbeat_time = NOW - 2 * DAY_MS
    return every[0].product_id, [device.id for device in every]


@pytest.fixture
def fleet(database: Database) -> tuple[int, list[int]]:
    return database.call(made)


def test_of_what_nothing_is_known_nothing_is_said(
    database: Database, fleet: tuple[int, list[int]]
) -> None:
    for version in ("1.0", "9.9"):
        found = database.call(health.of_version, fleet[0], version, 0)
        assert found.counts == Counts()
        figures = (
            found.crash_free_hours, found.success_rate, found.link_up, found.sound_heard, found.press_seconds,
        )  # fmt: skip
        assert figures == (None,) * 5


def test_time_connected_and_expected_is_summed_by_version_since_some_time(
    database: Database, fleet: tuple[int, list[int]]
) -> None:
    product, ids = fleet
    for minute in range(60):
        at = NOW + minute * MINUTE
        database.call(health.sample, [ids[0], ids[3]], MINUTE, at)
    counted = {"a" * 14: Counts(crashes=2, plays=9, failed_plays=1), "f" * 14: Counts(crashes=9)}
    database.call(health.note, counted, NOW)
    database.call(health.note, {"b" * 14: Counts(presses=2, press_time=3000)}, NOW)
    one = database.call(health.of_version, product, "1.0", NOW)
    assert (one.devices, one.hours, one.link_up) == (3, 1.0, 0.5)
    assert (one.crash_free_hours, one.sound_heard, one.press_seconds) == (0.5, 0.9, 1.5)
    two = database.call(health.of_version, product, "2.0", NOW)
    assert (two.devices, two.link_up, two.crash_free_hours) == (1, 1.0, 1.0)
    later = database.call(health.of_version, product, "1.0", NOW + 50 * MINUTE)
    assert later.counts.connected == 10 * MINUTE
    assert later.counts.crashes == 0
    assert [(n.name, n.health.devices) for n in database.call(health.by_version, NOW)] == [
        ("2.0", 1), ("1.0", 3),
    ]  # fmt: skip
    (batch,) = database.call(health.by_batch, NOW)
    assert (batch.name, batch.health.devices, batch.health.counts.crashes) == ("0000", 4, 2)


def test_updates_count_as_they_ended(database: Database, fleet: tuple[int, list[int]]) -> None:
    product, ids = fleet

    def update(session: Any) -> None:
        releases.add_package(session, "3.0", Target("p", 700, "0" * 32, "0" * 64), "", 0)
        strategy = releases.add_strategy(session, "3.0", StrategyType.PASSIVE, [], [], 0)
        rollout_acts.start(session, strategy.id, 0)
        for device_id, status in zip(ids, ("SUCCESS", "SUCCESS", "FAILED", "RUNNING"), strict=True):
            task = ota.create(session, device_id, 1, None, NOW)
            task.status = status
        session.flush()
        session.query(OtaTask).filter_by(device_id=ids[1]).one().update_time = NOW - HOUR_MS

    database.call(update)
    found = database.call(health.of_version, product, "3.0", NOW - MINUTE)
    assert (found.succeeded, found.failed, found.success_rate) == (1, 1, 0.5)
    assert database.call(health.of_version, product, "3.0", 0).success_rate == 2 / 3
    database.call(health.note, {"a" * 14: Counts(update_bytes=2)}, NOW)
    assert database.call(health.of_version, product, "1.0", NOW).counts.update_bytes == 1400
    assert [n.name for n in database.call(health.by_version, NOW)] == ["3.0", "2.0", "1.0"]


def test_samples_are_few_and_old_ones_go(database: Database, fleet: tuple[int, list[int]]) -> None:
    for minute in range(10):
        database.call(health.sample, fleet[1][: minute % 4], MINUTE, NOW + minute * MINUTE)
    every = database.call(health.samples, NOW, 100)
    assert [each.online for each in every] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert {each.devices for each in every} == {4}
    few = database.call(health.samples, NOW, 4)
    assert few[-1].ts == NOW + 9 * MINUTE
    assert len(few) == 5
    database.call(health.forget_old, NOW + SAMPLES_KEPT_MS + 5 * MINUTE)
    assert len(database.call(health.samples, 0, 100)) == 5
    database.call(health.forget_old, NOW + KEPT_MS + PART_MS)
    assert database.call(health.of_version, fleet[0], "1.0", 0).counts == Counts()
    assert database.call(lambda s: s.get_one(Device, fleet[1][0])).battery is None
