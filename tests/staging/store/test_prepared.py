"""A prepared statement does what the general way does, on either database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from staging.store import devices
from staging.store.models import Report
from staging.store.prepared import Prepared

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from staging.store import Database

COLUMNS = ("device_id", "ts", "key", "kind", "value")
INSERT = Prepared(insert(Report), COLUMNS)
MOVE = Prepared(
    update(Report)
    .where(Report.ts == bindparam("old"))
    .values(ts=bindparam("new"), value=bindparam("now_value"))
)
TIMES = Prepared(
    select(Report.ts, Report.key).where(Report.ts > bindparam("after")).order_by(Report.ts)
)
VALUES: list[object] = [7, True, None, "文字 % %(x)s ? :y", {"a": [1, None]}, 1.5]


def row(device: int, ts: int, value: object) -> dict[str, object]:
    return dict(zip(COLUMNS, (device, ts, "key", "REPORT", value), strict=True))


def test_each_value_is_written_and_read_as_it_was(database: Database) -> None:
    device = database.call(devices.add, "0083000000000a", 0).id
    rows = [row(device, ts, value) for ts, value in enumerate(VALUES, 1)]

    def write(session: Session) -> None:
        INSERT.run(session.connection(), *rows[:-1])
        INSERT.run(session.connection(), rows[-1])

    database.call(write)

    def read(session: Session) -> list[object]:
        return list(session.scalars(select(Report.value).order_by(Report.ts)))

    assert database.call(read) == VALUES

    def move(session: Session) -> list[tuple[object, ...]]:
        told = {"old": 1, "new": 100, "now_value": {"new": "值"}}
        assert MOVE.run(session.connection(), told).rowcount == 1
        return [tuple(each) for each in TIMES.run(session.connection(), {"after": 5})]

    assert database.call(move) == [(6, "key"), (100, "key")]
    assert database.call(read)[-1] == {"new": "值"}


def test_an_error_is_the_general_ways_and_undoes_the_transaction(database: Database) -> None:
    device = database.call(devices.add, "0083000000000a", 0).id

    def twice(session: Session) -> None:
        INSERT.run(session.connection(), row(device, 1, 1))
        INSERT.run(session.connection(), row(device, 1, 2))

    with pytest.raises(IntegrityError):
        database.call(twice)
    assert database.call(lambda session: session.scalars(select(Report.ts)).all()) == []
