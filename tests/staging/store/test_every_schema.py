"""Rows of every schema that was ever shipped are there after the newest revision (staging.migrations)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import (
    Boolean,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    insert,
    select,
)

from staging.migrations.config import alembic_config
from staging.store import Database, schema
from tests.staging.store.test_migrations import connected

# Columns whose text has a form that a later revision reads.
FORMS: dict[str, Any] = {"status": "ENABLE", "permission": "{}", "profile": "{}", "filter": "{}"}


def value(column: Any, number: int) -> Any:
    """What a column of this type holds in the row of revision ``number``."""
    kind = column.type
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Integer | Float):
        return number
    if isinstance(kind, LargeBinary):
        return b"%d" % number
    assert not isinstance(kind, DateTime), "times are whole milliseconds"
    text: str = FORMS.get(column.name, f"{column.name} {number}")
    return text[-(getattr(kind, "length", None) or len(text)) :]


def row(table: Table, number: int) -> dict[str, Any]:
    """A row of ``table`` that refers to the rows of the same revision."""
    return {column.name: value(column, number) for column in table.columns}


def fill(connection: Connection, number: int) -> dict[str, dict[str, Any]]:
    """Put a row into each table that there is at revision ``number``."""
    tables = MetaData()
    tables.reflect(connection)
    rows = {
        table.name: row(table, number)
        for table in tables.sorted_tables
        if table.name != "alembic_version"
    }
    for name, content in rows.items():
        connection.execute(insert(tables.tables[name]).values(content))
    return rows


def changed(connection: Connection, table: Table, old: dict[str, Any]) -> set[str]:
    """Names of the columns in which a row is not what it was; all of them if it has gone."""
    keys = [column == old[column.name] for column in table.primary_key]
    found = connection.execute(select(table).where(*keys)).mappings().one_or_none()
    if found is None:
        return set(old)
    return {name for name, content in old.items() if name in found and found[name] != content}


def test_rows_of_every_revision_reach_the_newest(empty: Path | str) -> None:
    filled: list[tuple[str, dict[str, Any]]] = []
    with connected(empty) as connection:
        for number, revision in enumerate(schema.revisions(), start=1):
            command.upgrade(alembic_config(connection), revision)
            filled += fill(connection, number).items()
    Database(empty).close()
    tables = MetaData()
    with connected(empty) as connection:
        tables.reflect(connection)
        lost = {
            f"{name} of revision {old.get('id')}": columns
            for name, old in filled
            if (columns := changed(connection, tables.tables[name], old))
        }
    assert lost == {}
    assert len(filled) > len(tables.tables) * 5
