"""A page of history is read from an index, on both databases; and the logs that devices report."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import event, text

from staging.store import Database, devices, history
from staging.store.history import Query

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
