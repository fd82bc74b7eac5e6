"""Compares a page of history with 1,000,000 stored segments and with 10,000, on both databases.

A page is 100 entries, the maximum of the open API: the newest page, and two from the middle by
cursor, of all keys and of one. It times the store's query in one process; what HTTP adds is the
same for both.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.figures import Figure, command_line, figure
from staging.store import Database, devices, history
from staging.store.history import Query
from tools.postgresql import postgresql
from tools.processes import BenchError

MANY, FEW = 1_000_000, 10_000
PAGE = 100
TURNS = 15
REPEATS = 10
KEYS = 4
QUERIES = {
    "newest": Query(limit=PAGE),
    "by cursor": Query(limit=PAGE, before=1),
    "of one key, by cursor": Query(limit=PAGE, before=1, key="volume"),
}
# A voice segment as it is stored: 15 frames of 38 bytes, in base64.
SEGMENT = (
    '{"voiceData": "' + "A" * 760 + '", "rate": 8000, "segment": 15, "eof": false, "channel": 1}'
)
FILL = """
    INSERT INTO reports (device_id, ts, key, kind, value)
    WITH RECURSIVE numbers (n) AS (
        SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count
    )
    SELECT :device, n, CASE n % :keys WHEN 0 THEN 'volume' ELSE 'voice_control' END, 'REPORT',
        CAST(:value AS {json})
    FROM numbers
"""


def measure() -> list[Figure]:
    """Fill and query each database."""
    with tempfile.TemporaryDirectory(prefix="story-bench-") as name, postgresql() as server:
        figures = []
        for title, where in (
            ("SQLite", Path(name) / "cloud.sqlite"),
            ("PostgreSQL", server.url()),
        ):
            with closing(Database(where)) as store:
                figures += _measure(store, title)
        return figures


def _measure(store: Database, title: str) -> list[Figure]:
    many, few = (store.call(fill, count) for count in (MANY, FEW))
    store.call(_analyze)
    return [
        figure(
            f"history page, {name}, {MANY:,} stored ({title})", "ms",
            *_turns(store, (many, _query(MANY, kind)), (few, _query(FEW, kind))),
        )
        for name, kind in QUERIES.items()
    ]  # fmt: skip


def _query(count: int, kind: Query) -> Query:
    """Return the query with its cursor, if it has one, in the middle of ``count`` entries."""
    return replace(kind, before=count // 2 if kind.before else None)


def _turns(
    store: Database, many: tuple[int, Query], few: tuple[int, Query]
) -> tuple[list[float], str, list[float]]:
    def timed(device: int, query: Query) -> float:
        def ask(session: Session) -> float:
            started = time.perf_counter()
            for _ in range(REPEATS):
                session.expunge_all()
                if len(history.page(session, device, query).entries) != PAGE:
                    raise BenchError("a page is not full")
            return (time.perf_counter() - started) * 1000 / REPEATS

        return store.call(ask)

    turns = [(timed(*many), timed(*few)) for _ in range(TURNS + 1)][1:]
    return [own for own, _ in turns], f"{FEW:,} stored", [other for _, other in turns]


def _analyze(session: Session) -> None:
    """Update the planner's statistics, as autovacuum does after a while."""
    session.execute(text("ANALYZE"))


def fill(session: Session, count: int) -> int:
    """Add a device with ``count`` reports and return its id."""
    device = devices.add(session, None, 0)
    json = "TEXT"
    if session.get_bind().dialect.name == "postgresql":
        json = "JSON"
        # Filling takes longer than the store's timeout for statements.
        session.execute(text("SET LOCAL statement_timeout = 0"))
    values = {"device": device.id, "count": count, "keys": KEYS, "value": SEGMENT}
    session.connection().execute(text(FILL.format(json=json)), values)
    device.last_report_ms = count
    return device.id


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
