"""A data point's values for a chart: the changes only, and never more than it can show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from staging.store import Database, devices
from staging.store.models import KIND_REPORT, KIND_RESOURCE, Device, Report
from staging.store.series import series

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SERIES_LIMIT = 600


def store(database: Database, *points: tuple[int, Any], kind: str = KIND_REPORT) -> Device:
    """Return a device with these values of ``volume`` at these times."""
    device = database.call(devices.add, None, 0)
    add(database, device, points, kind)
    return device


def add(database: Database, device: Device, points: Iterable[tuple[int, Any]], kind: str) -> None:
    def write(session: Any) -> None:
        for ts, value in points:
            row = Report(device_id=device.id, ts=ts, key="volume", kind=kind, value=value)
            session.add(row)

    database.call(write)


def read(database: Database, device: Device, start: int, end: int) -> list[tuple[int, Any]]:
    found = database.call(series, device.id, "volume", start, end)
    return [(value.ts, value.value) for value in found]


def test_it_begins_with_the_value_in_effect_and_omits_repetitions(database: Database) -> None:
    device = store(database, (1, 3), (10, 5), (20, 5), (30, 6), (40, 5), (90, 9))
    assert read(database, device, 5, 50) == [(5, 3), (10, 5), (30, 6), (40, 5)]
    assert read(database, device, 12, 25) == [(12, 5)]
    assert read(database, device, 0, 0) == []


def test_values_that_were_read_count_only_without_reports(database: Database) -> None:
    device = store(database, (10, 5), (20, 6), kind=KIND_RESOURCE)
    assert read(database, device, 0, 50) == [(10, 5), (20, 6)]
    add(database, device, [(30, 7)], KIND_REPORT)
    assert read(database, device, 0, 50) == [(30, 7)]


def test_of_too_many_values_the_last_of_each_interval_remains(database: Database) -> None:
    count = SERIES_LIMIT * 3
    device = store(database, *((n, n) for n in range(count)))
    found = read(database, device, 0, count - 1)
    step = (count - 1) // SERIES_LIMIT + 1
    assert found == [(n, n) for n in range(step - 1, count, step)]
    assert len(found) <= SERIES_LIMIT
