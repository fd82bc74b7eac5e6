"""A store as one SQLite file, whatever database it is in, and back: what a backup holds.

A copy is one snapshot, made while the cloud runs. Of a SQLite file it is SQLite's own online backup; of
PostgreSQL all rows are read in one read-only transaction into a file of the same tables. So a backup of one
can be put into the other.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from base import sqlite as guarded
from staging.errors import StagingError
from staging.store import Database, engine, room, schema, soundness
from staging.store.mark import open_to_read
from staging.store.models import Base, Report
from staging.store.unopened import unopened
from staging.store.voice_keys import VoiceKeys, mark_of
from wire.reports import KEYS_VOICE

ROWS = 1000
# How long the server may take to end connections that were closed.
GONE_SECONDS = 3.0
OTHERS = (
    "SELECT count(*) FROM pg_stat_get_activity(NULL) AS a JOIN pg_database AS d ON d.oid = a.datid"
    " WHERE d.datname = current_database() AND a.application_name = 'story-cloud'"
    " AND a.pid <> pg_backend_pid()"
)


def copy_out(where: Path | str, target: Path, keys: VoiceKeys) -> None:
    """Write a store's copy to ``target``, a file that is not there yet; voice is not sealed there.

    Raises:
        StagingError: the store is damaged, or cannot be used.
    """
    path = engine.file_of(where)
    try:
        if path is not None:
            _copy_file(path, target)
            _change_voice(target, lambda _, value: keys.opened(value))
        else:
            _copy_rows_out(where, target, keys)
    except (sqlite3.Error, SQLAlchemyError) as error:
        reason = engine.reason(error) if isinstance(error, SQLAlchemyError) else str(error)
        raise StagingError(f"the store cannot be copied: {reason}") from error
    check(target)


def check(copy: Path) -> str:
    """Return the schema of a copy.

    Raises:
        StagingError: it is damaged, or its schema is newer than this program.
    """
    fault = soundness.header_fault(copy)
    found = [fault.en] if fault else soundness.damage(copy, None)
    if found:
        raise StagingError(f"{copy.name}: is damaged: {found[0]}")
    with closing(sqlite3.connect(copy, factory=guarded.Connection)) as connection:
        try:
            found = connection.execute(f"SELECT version_num FROM {schema.VERSION_TABLE}").fetchone()  # noqa: S608
        except sqlite3.Error as error:
            raise StagingError(f"{copy.name}: no store of story-cloud: {error}") from error
    if found is None or found[0] not in schema.revisions():
        known = schema.revisions()[-1]
        raise StagingError(
            f"{copy.name}: its schema is {found and found[0]}, this program knows up to {known}"
        )
    return str(found[0])


def _copy_file(path: Path, target: Path) -> None:
    with (
        closing(open_to_read(path)) as source,
        closing(sqlite3.connect(target, factory=guarded.Connection)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it


def _change_voice(copy: Path, value_of: Callable[[int, dict[str, Any]], Any]) -> None:
    """Give each piece of voice in a copy, of a device by its number, another value; of whatever schema it is."""
    read = (
        f"SELECT device_id, ts, value FROM reports WHERE key IN ({', '.join('?' * len(KEYS_VOICE))})"  # noqa: S608  # marks
        " AND (device_id, ts) > (?, ?) ORDER BY device_id, ts LIMIT ?"
    )
    after = (0, 0)
    with closing(sqlite3.connect(copy, factory=guarded.Connection)) as connection, connection:
        connection.execute("PRAGMA secure_delete=ON")
        while rows := connection.execute(read, (*KEYS_VOICE, *after, ROWS)).fetchall():
            after = rows[-1][:2]
            made = [(_changed(device, text, value_of), device, ts) for device, ts, text in rows]
            connection.executemany(
                "UPDATE reports SET value = ?1 WHERE device_id = ?2 AND ts = ?3 AND value != ?1",
                made,
            )


def _changed(device: int, text: Any, value_of: Callable[[int, dict[str, Any]], Any]) -> Any:
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return text  # damaged
    made = value_of(device, value) if isinstance(value, dict) else value
    return text if made == value else json.dumps(made)


def seal(copy: Path, keys: VoiceKeys) -> None:
    """Seal the voice in a copy that is to be a store; nothing of it is open in the file afterwards.

    Raises:
        StagingError: the copy cannot be changed.
    """
    sealed = copy.with_name(f"{copy.name}.sealed")
    try:
        with keys.together():
            _change_voice(copy, keys.seal)
        with closing(sqlite3.connect(copy, factory=guarded.Connection)) as connection:
            connection.execute("VACUUM INTO ?", (str(sealed),))
    except sqlite3.Error as error:
        raise StagingError(f"{copy.name}: cannot be made a store: {error}") from error
    sealed.replace(copy)


def _copy_rows_out(where: Path | str, target: Path, keys: VoiceKeys) -> None:
    Database(target).close()  # makes the tables
    url = engine.locate(where)
    with _engine(engine.reading_engine(url, 1)) as source, _engine(_file(target)) as copy:
        with source.connect() as reading, copy.begin() as writing:
            if schema.version(reading) != schema.revisions()[-1]:
                raise StagingError(
                    f"{engine.shown(url)}: its schema is not this program's: start it once"
                )
            _copy_rows(reading, writing, lambda row: keys.opened(row["value"]))
        with copy.connect() as last:
            last.execute(text("PRAGMA journal_mode=DELETE"))


def _copy_rows(
    source: Connection, target: Connection, value_of: Callable[[Mapping[str, Any]], Any]
) -> None:
    """Copy every table; ``value_of`` returns what a row of a device's history has as its value there."""
    for table in Base.metadata.sorted_tables:
        found = source.execution_options(yield_per=ROWS).execute(select(table))
        for part in found.mappings().partitions(ROWS):
            rows = [dict(row) for row in part]
            if table is Report.__table__:
                rows = [row | {"value": value_of(row)} for row in rows]
            target.execute(insert(table), rows)


def _sealed(row: Mapping[str, Any], keys: VoiceKeys, used: set[bytes]) -> Any:
    if row["key"] not in KEYS_VOICE or not isinstance(row["value"], dict):
        return row["value"]
    value = keys.seal(row["device_id"], row["value"])
    mark = mark_of(value)
    if mark is not None:
        used.add(mark)
    return value


def copy_in(
    copy: Path,
    where: Path | str,
    keys: VoiceKeys,
    *,
    replace: bool,
    before_commit: Callable[[], object] = lambda: None,
) -> None:
    """Put a copy, which may be of an older schema, into a PostgreSQL.

    ``replace``: whether rows that are there may be deleted. ``before_commit`` is called when nothing else can refuse;
    what it raises undoes all.

    Raises:
        StagingError: there are rows already, a cloud runs on it, or the database cannot be used.
    """
    Database(copy).close()  # upgrades it
    Database(where).close()
    url, used = engine.locate(where), set[bytes]()
    try:
        with (
            _engine(_file(copy)) as source,
            _engine(engine.migrating_engine(url)) as target,
            source.connect() as reading,
            target.begin() as writing,
        ):
            _check_unused(writing, engine.shown(url))
            _empty(writing, engine.shown(url), replace=replace)
            with keys.together():
                _copy_rows(reading, writing, lambda row: _sealed(row, keys, used))
            _set_counters(writing)
            before_commit()
    except SQLAlchemyError as error:
        raise unopened(engine.shown(url), error) from error
    keys.keep(used)  # none is left of what was there before


def make_ready(copy: Path, path: Path) -> Path:
    """Bring a copy beside the place of a store, whole and durable, so that a rename puts it there; return where it is.

    Raises:
        OSError: there is no room; nothing is left of it.
    """
    ready = ready_path(path)
    try:
        shutil.copyfile(copy, ready)
        ready.chmod(0o600)
        with ready.open("rb") as file:
            os.fsync(file.fileno())
    except OSError:
        ready.unlink(missing_ok=True)
        raise
    return ready


def ready_path(path: Path) -> Path:
    """Return where `make_ready` brings a copy for the store at ``path``, which is no link."""
    return path.with_name(f".{path.name}.restored")


def _check_unused(connection: Connection, shown: str) -> None:
    """Refuse a database that a cloud has open: one of another data folder, or of another machine, has no lock here."""
    end = time.monotonic() + GONE_SECONDS
    while connection.scalar(text(OTHERS)):
        if time.monotonic() > end:
            raise StagingError(f"{shown}: a story-cloud runs on it: stop it first")
        # Our own of just now may still be ending; what is seen of others stays for a transaction.
        connection.execute(text("SELECT pg_sleep(0.1), pg_stat_clear_snapshot()"))


def _empty(connection: Connection, shown: str, *, replace: bool) -> None:
    tables = Base.metadata.sorted_tables
    if not replace:
        for table in tables:
            if connection.execute(select(table).limit(1)).first() is not None:
                raise StagingError(
                    f"{shown}: has rows in {table.name}; --replace deletes them first"
                )
    names = ", ".join(table.name for table in tables)
    connection.execute(text(f"TRUNCATE {names}"))


def _set_counters(connection: Connection) -> None:
    """Let the numbers of new rows go on after those that were copied."""
    for table in Base.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        name = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
        last = connection.scalar(select(func.max(column)))
        if name is not None and last is not None:
            connection.execute(select(func.setval(name, last)))


def sizes(where: Path | str) -> list[dict[str, Any]]:
    """Return each table's rows and, where the database tells them, bytes with its indexes; largest first."""
    url = engine.locate(where)
    is_frozen = engine.is_whole_alone(url) and room.is_read_only(Path(engine.shown(url)).parent)
    open_engine = engine.frozen_engine if is_frozen else engine.reading_engine
    with _engine(open_engine(url, 1)) as made, made.connect() as connection:
        sizes = _bytes(connection)
        found = [
            {
                "table": table,
                "rows": connection.scalar(text(f"SELECT count(*) FROM {table}")),  # noqa: S608
                "bytes": sizes.get(table),
            }
            for table in inspect(connection).get_table_names()
        ]
    return sorted(found, key=lambda each: (-(each["bytes"] or 0), -each["rows"]))


def odd_values(session: Session) -> int:
    """Count the stored values that cannot be read as JSON; PostgreSQL lets none in."""
    connection = session.connection()
    if connection.dialect.name != engine.SQLITE:
        return 0
    is_odd = "typeof(value) NOT IN ('text', 'integer', 'real') OR (typeof(value) = 'text' AND NOT json_valid(value))"
    is_infinite = "typeof(value) = 'real' AND abs(value) > 1.7976931348623157e308"
    statement = f"SELECT count(*) FROM reports WHERE {is_odd} OR ({is_infinite})"  # noqa: S608  # constants
    found = connection.scalar(text(statement))
    return int(found or 0)


def _bytes(connection: Connection) -> dict[str, int]:
    if connection.dialect.name != engine.SQLITE:
        rows = connection.execute(
            text("SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables")
        )
        return {row[0]: int(row[1]) for row in rows}
    try:
        rows = connection.execute(text(
            "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_schema m ON m.name = s.name"
            " WHERE s.aggregate GROUP BY m.tbl_name"
        ))  # fmt: skip
        return {row[0]: int(row[1]) for row in rows}
    except SQLAlchemyError:
        return {}  # SQLite was built without it


def _file(path: Path) -> Engine:
    return create_engine(engine.locate(path))


@contextmanager
def _engine(made: Engine) -> Iterator[Engine]:
    try:
        yield made
    finally:
        made.dispose()
