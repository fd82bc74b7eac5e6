"""A row that cannot be read spoils only itself, on either database."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from sqlalchemy import text

from staging.store import Database, devices, history, overview
from staging.store.history import HistoryPoint, Query
from staging.store.series import series
from staging.store.stored_json import readable

BAD, GOOD = "0083000000000a", "0083000000000b"
# What a SQLite column of JSON may hold: by a program of before, or by damage.
ROWS: list[tuple[str, object]] = [
    ("400 digits", "9" * 400),
    ("below 64 bits", str(-(2**63) - 1)),
    ("infinity", math.inf),
    ("no JSON", "{cut"),
    ("empty", ""),
    ("bytes", b"\xff\xfe"),
    ("half a surrogate", '"\\ud800"'),
    ("half a surrogate as a name", '{"\\udfff": 1}'),
    ("deep", "[" * 900 + "]" * 900),
    ("NaN", "NaN"),
    ("infinite in a list", "[1e999, 1]"),
    ("long text", json.dumps("x" * 1_000_000)),
]


def fill(database: Database) -> tuple[int, int]:
    def add(session: Any) -> list[int]:
        numbers = []
        for uuid in (BAD, GOOD):
            device = devices.add(session, uuid, 0)
            history.append(session, device, [HistoryPoint("power", 50), HistoryPoint("x", 1)], 1000)
            numbers.append(device.id)
        return numbers

    bad, good = database.call(add)
    return bad, good


@pytest.mark.one_database
@pytest.mark.parametrize("value", [value for _, value in ROWS], ids=[name for name, _ in ROWS])
def test_a_bad_row_of_sqlite(database: Database, value: object) -> None:
    bad, good = fill(database)
    change = text("UPDATE reports SET value = :value WHERE device_id = :id AND key = 'power'")
    database.call(lambda session: session.execute(change, {"value": value, "id": bad}))
    check(database, bad, good)


def check(database: Database, bad: int, good: int) -> None:
    rows = {row.device.uuid: row for row in database.call(overview.rows)}
    assert rows[GOOD].values["power"].value == 50
    json.dumps(rows[BAD].values["power"].value, allow_nan=False).encode()
    page = database.call(history.page, bad, Query())
    assert {entry.key: entry.value for entry in page.entries}["x"] == 1
    assert [entry.value for entry in database.call(history.page, good, Query()).entries] == [1, 50]
    assert database.call(series, good, "power", 0, 2000)
    database.call(series, bad, "power", 0, 2000)


def test_a_number_of_400_digits_on_both(database: Database) -> None:
    bad, good = fill(database)
    change = text(
        "UPDATE reports SET value = '" + "9" * 400 + "' WHERE device_id = :id AND key = 'power'"
    )
    database.call(lambda session: session.execute(change, {"id": bad}))
    check(database, bad, good)
    rows = {row.device.uuid: row for row in database.call(overview.rows)}
    assert rows[BAD].values["power"].value is None


@pytest.mark.one_database
def test_a_description_that_cannot_be_read_is_the_products(database: Database) -> None:
    fill(database)
    change = text("UPDATE devices SET description = '{cut' WHERE uuid = :uuid")
    database.call(lambda session: session.execute(change, {"uuid": BAD}))
    names = [point["name"] for point in database.call(devices.description, BAD)["resources"]]
    assert "volume" in names
    assert len(database.call(devices.views)) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, None),
        (True, True),
        (1.5, 1.5),
        (-math.inf, None),
        ({"a": [math.nan, "\ud83d"]}, {"a": [None, "?"]}),
        ("小熊", "小熊"),
    ],
)
def test_what_is_readable(value: object, expected: object) -> None:
    assert readable(value) == expected
