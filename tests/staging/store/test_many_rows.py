"""Rows that one statement takes as one parameter, on both databases."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from staging.store import Database, apps, devices, many_rows
from staging.store.apps import Nonce, remember_nonces
from staging.store.controls import Controlled, append
from staging.store.many_rows import JSON, NUMBER, WORDS
from staging.store.models import Device, Report

_COLUMNS = (("device_id", NUMBER), ("ts", NUMBER), ("key", WORDS), ("kind", WORDS), ("value", JSON))
# What a value, a name or a number may be that is easily spoilt on its way through JSON in JSON.
_ODD: tuple[object, ...] = (
    "8",
    8,
    2**63 - 1,
    -1.5,
    None,
    True,
    [],
    {"a": [1, "x"]},
    "",
    "'\"\\",
    "\\u0000",
    "小熊",
    "😀",
    "[1]",
    "null",
)


def test_every_value_comes_back_as_it_went_in(database: Database) -> None:
    device = database.call(lambda session: devices.add(session, None, 0).id)
    rows = [
        (device, 2**40 + place, f"{value}"[:20], "RESOURCE", json.dumps(value))
        for place, value in enumerate(_ODD)
    ]

    def work(session: Session) -> None:
        many_rows.insert(session.connection(), "reports", _COLUMNS, rows)

    database.call(work)
    kept = database.call(
        lambda session: [(r.ts, r.key, r.value) for r in session.query(Report).order_by(Report.ts)]
    )
    assert kept == [(2**40 + place, f"{value}"[:20], value) for place, value in enumerate(_ODD)]


def test_no_row_is_no_trouble(database: Database) -> None:
    database.call(lambda session: many_rows.insert(session.connection(), "reports", _COLUMNS, []))


def test_a_nonce_that_is_there_keeps_its_first_time(database: Database) -> None:
    app_id = database.call(apps.add_app, "app", apps.AppType.WEB, None, 0).id
    for use_time in (5, 6):
        nonces = [Nonce(app_id, "a" * 16, use_time), Nonce(app_id, f"b{use_time}", use_time)]
        database.call(remember_nonces, nonces)
    found = database.call(
        lambda session: session.execute(
            text("SELECT nonce, use_time FROM used_nonces ORDER BY nonce, use_time")
        ).all()
    )
    assert [tuple(row) for row in found] == [("a" * 16, 5), ("b5", 5), ("b6", 6)]


def test_only_the_devices_that_were_asked_get_a_newer_time(database: Database) -> None:
    first, second = (database.call(lambda session: devices.add(session, None, 0).id) for _ in "ab")
    database.call(
        append, [Controlled(first, "volume", 8, 1000), Controlled(first, "volume", 9, 1000)]
    )
    found = database.call(lambda session: {d.id: d.last_report_ms for d in session.query(Device)})
    assert found == {first: 1001, second: 0}


def test_rows_of_several_statements_keep_their_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_rows, "AT_ONCE", 3)
    device = database.call(lambda session: devices.add(session, None, 0).id)
    gone = device + 7
    values = [Controlled(device if n % 4 else gone, "volume", n, 1000) for n in range(11)]
    database.call(append, values)
    found = database.call(
        lambda session: [(r.ts, r.value) for r in session.query(Report).order_by(Report.ts)]
    )
    kept = [n for n in range(11) if n % 4]
    assert found == [(1000 + place, n) for place, n in enumerate(kept)]
    last = database.call(lambda session: session.query(Device).one().last_report_ms)
    assert last == 1000 + len(kept) - 1
