"""A page of history is read from an index, on both databases; and the logs that devices report."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event, text

from staging.store import Database, controls, devices, history
from staging.store.controls import Controlled
from staging.store.history import HistoryPoint, Query
from staging.store.models import Report

ROWS = 20_000
FILL = """
    INSERT INTO reports (device_id, ts, key, kind, value)
    WITH RECURSIVE numbers (n) AS (
        SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count
    )
    SELECT :device, n, CASE n % 50 WHEN 0 THEN 'volume' ELSE 'voice_control' END, 'REPORT', '1'
    FROM numbers
"""
WALKS_THE_INDEX = {
    "sqlite": re.compile(r"SEARCH reports USING INDEX \S+ \(device_id=\?.*ts<\?.*\)"),
    "postgresql": re.compile(r"Index Scan.* using \S+ on reports(?s:.*)Index Cond: .*ts < "),
}


def plan_of(database: Database, device_id: int, query: Query) -> str:
    """Return the database's query plan for the exact statement that the store sends."""

    def explain(session: Any) -> str:
        connection = session.connection()
        sent: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            sent.append((statement, values))

        event.listen(connection, "before_cursor_execute", note)
        history.page(session, device_id, query)
        statement, values = sent[0]
        word = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        rows = connection.exec_driver_sql(f"{word} {statement}", values)
        return "\n".join(str(row[-1]) for row in rows)

    return database.call(explain)


@pytest.mark.parametrize(
    "query",
    [
        Query(before=ROWS // 2),
        Query(before=ROWS // 2, key="volume"),
        Query(before=ROWS // 2, kind="REPORT"),
        Query(before=ROWS // 2, key="volume", kind="REPORT", start=5),
    ],
    ids=["all", "key", "kind", "key and kind"],
)
def test_a_page_walks_an_index_backwards(
    database: Database, database_kind: str, query: Query
) -> None:
    device = database.call(devices.add, None, 0)

    def fill(session: Any) -> None:
        kind = " json" if database_kind == "postgresql" else ""
        session.execute(
            text(FILL.replace("'1'", f"{kind} '1'")), {"count": ROWS, "device": device.id}
        )

    database.call(fill)
    database.call(lambda session: session.execute(text("ANALYZE")))
    plan = plan_of(database, device.id, query)
    assert WALKS_THE_INDEX[database_kind].search(plan), plan
    assert "B-TREE" not in plan, plan
    assert "Sort" not in plan, plan


LOGS: dict[str, tuple[list[Any], list[str]]] = {
    "none": ([], []),
    "another update's": ([{"transaction": "6", "lines": ["x"]}], []),
    "one of two": ([{"transaction": "7", "lines": ["a", "b"]}, {"transaction": "6"}], ["a", "b"]),
    "no lines": ([{"transaction": "7", "lines": "x"}], []),
    "no text": ([{"transaction": "7", "lines": [1, None]}], ["1", "None"]),
    "no object": (["x", None, ["transaction"]], []),
}


@pytest.mark.parametrize("case", LOGS, ids=str)
def test_the_log_of_an_update_whatever_a_device_reported(case: str) -> None:
    logs, lines = LOGS[case]
    assert history.lines_of(logs, 7) == lines


@pytest.mark.one_database
def test_the_log_of_a_trial_is_looked_for_in_the_newest_five(database: Database) -> None:
    device = database.call(devices.add, None, 0)

    def report(ts: int) -> None:
        value = {"transaction": str(ts), "lines": [f"line {ts}"]}
        row = Report(device_id=device.id, ts=ts, key="ota_log", kind="REPORT", value=value)
        database.call(lambda session: session.add(row))

    for ts in range(1, 7):
        report(ts)
    found = [database.call(history.trial_log, device.id, task) for task in (1, 2, 6)]
    assert found == [[], ["line 2"], ["line 6"]]


NOW = 1_790_000_000_000
AHEAD = NOW + 9 * 365 * 86_400_000


def entries(session: Any, device_id: int) -> list[tuple[str, int]]:
    return [(e.key, e.ts) for e in reversed(history.page(session, device_id, Query()).entries)]


def test_entries_from_while_our_clock_was_ahead_come_back(database: Database) -> None:
    """Otherwise they are the present state for nine years, and each later entry comes after them."""

    def work(session: Any) -> list[tuple[str, int]]:
        device = devices.add(session, None, 0)
        for now, key in ((NOW, "before"), (AHEAD, "wrong"), (AHEAD + 5000, "wrong too")):
            history.append(session, device, [HistoryPoint(key, 1)], now)
        session.flush()
        history.append(session, device, [HistoryPoint("after", 1)], NOW + 60_000)
        return entries(session, device.id)

    assert database.call(work) == [
        ("before", NOW),
        ("wrong", NOW + 54_999),
        ("wrong too", NOW + 59_999),
        ("after", NOW + 60_000),
    ]


def test_entries_that_find_no_room_keep_their_order(database: Database) -> None:
    def work(session: Any) -> list[tuple[str, int]]:
        device = devices.add(session, None, 0)
        history.append(session, device, [HistoryPoint("before", 1)], NOW)
        for number in range(3):
            history.append(session, device, [HistoryPoint(str(number), 1)], AHEAD + number * 10**9)
        history.append(session, device, [HistoryPoint("after", 1)], NOW + 1000)
        return entries(session, device.id)

    names = ["before", "0", "1", "2", "after"]
    found = database.call(work)
    assert [name for name, _ in found] == names
    assert [ts for _, ts in found] == [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 1000]


def test_values_of_control_requests_come_back_too(database: Database) -> None:
    device = database.call(devices.add, None, 0)
    for now in (AHEAD, NOW, NOW + 1):
        database.call(controls.append, [Controlled(device.id, "volume", now, now)])
    assert [ts for _, ts in database.call(entries, device.id)] == [NOW - 1, NOW, NOW + 1]


def test_a_correction_of_the_clock_moves_nothing(database: Database) -> None:
    device = database.call(devices.add, None, 0)
    for now in (NOW, NOW - 60_000):
        database.call(controls.append, [Controlled(device.id, "volume", 1, now)])
    assert [ts for _, ts in database.call(entries, device.id)] == [NOW, NOW + 1]
