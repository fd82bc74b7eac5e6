"""Many rows in one statement, which takes them as one parameter: a JSON list of lists.

SQLite's driver gives the interpreter's lock away for each row of an ``executemany`` and takes it back, and each time the
event loop has to wait for it, or the writer for the loop. One statement does that once, however many rows it has; so the
requests that come while some hundred rows are written do not wait for them (docs/adr/0065).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, TextClause, text

from staging.store.engine import SQLITE

_Row = TypeVar("_Row")

# Rows of one statement. Their JSON is made in one piece, in which the event loop cannot have the interpreter's lock, and all
# requests that are under way wait for it (docs/benchmarks.md).
AT_ONCE = 100

ROWS = "rows"
"""The parameter's name."""
NUMBER, WORDS, JSON = "bigint", "text", "json"
"""The types of columns."""


def parts_of(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    """Yield ``rows`` in parts for a statement each: between two of them the event loop has its turn."""
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]


def selection(columns: Sequence[tuple[str, str]], dialect: str) -> str:
    """Return the SELECT that makes rows of the parameter.

    Args:
        columns: name and type of each, in their order in a row.
        dialect: the database's name.
    """
    if dialect == SQLITE:
        parts = (
            f"CAST(json_extract(value, '$[{place}]') AS {'INTEGER' if kind == NUMBER else 'TEXT'}) AS {name}"
            for place, (name, kind) in enumerate(columns)
        )
        return f"SELECT {', '.join(parts)} FROM json_each(:{ROWS})"  # noqa: S608  # names of ours
    parts = (
        f"CAST(value->>{place} AS {kind}) AS {name}" for place, (name, kind) in enumerate(columns)
    )
    return f"SELECT {', '.join(parts)} FROM json_array_elements(CAST(:{ROWS} AS json))"  # noqa: S608  # names of ours


def insertion(
    table: str, columns: Sequence[tuple[str, str]], dialect: str, *, once: bool = False
) -> TextClause:
    """Return the INSERT of rows; ``once`` leaves those out that are there already."""
    names = ", ".join(name for name, _ in columns)
    # SQLite takes ON for a join's without a WHERE before it.
    end = " WHERE true ON CONFLICT DO NOTHING" if once else ""
    # The names are ours.
    return text(f"INSERT INTO {table} ({names}) {selection(columns, dialect)}{end}")


def insert(
    connection: Connection,
    table: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[object]],
    *,
    once: bool = False,
) -> None:
    """Insert ``rows``; a column of `JSON` gets its text."""
    statement = insertion(table, columns, connection.dialect.name, once=once)
    for part in parts_of(list(rows)):
        connection.execute(statement, {ROWS: json.dumps(part)})
