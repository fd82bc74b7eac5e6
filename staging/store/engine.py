"""Engines: SQLite and PostgreSQL opened so that the store behaves alike on both.

Every writing transaction is the only one (docs/adr/0008): SQLite has one writer by nature, on
PostgreSQL each takes the same advisory lock first. So "look, then insert" is right in all of
`staging.store`, across threads and processes. Readers see one state of the data for as long as
their transaction lasts and cannot write.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from staging.errors import StagingError

SQLITE, POSTGRESQL = "sqlite", "postgresql"
EXPECTED = "sqlite:////FILE or postgresql://USER:PASSWORD@HOST/NAME"

# Beside a running server a command waits this long for its turn to write (milliseconds).
BUSY_TIMEOUT_MS = 5000
# A migration may copy a big table, and the processes that start meanwhile wait for it.
MIGRATION_TIMEOUT_MS = 600_000
# The store's statements take milliseconds; one that takes this long will not end well.
STATEMENT_TIMEOUT_MS = 10_000
# A process that hangs inside a transaction must not keep the others from writing.
IDLE_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
# How long a thread waits for a connection of the pool: longer than a statement of the one before.
POOL_TIMEOUT_S = 15
# The lock that every writing transaction holds; any number that stays the same.
WRITER_LOCK = 0x73746F7279  # "story"

_POSTGRESQL_DRIVERS = {"postgresql", "postgres", "postgresql+psycopg"}
_SECRET_QUERY = ("password", "sslpassword")
# What passes by itself or by an operator's hand: locked, full, an I/O error, or not to be opened.
_SQLITE_TRANSIENT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}


def locate(where: Path | str | URL) -> URL:
    """Return the URL of a SQLite file or of what a user gave as URL.

    Raises:
        StagingError: no URL, or of another kind; the text never has the URL, for its password.
    """
    if isinstance(where, Path):
        return URL.create(SQLITE, database=str(where))
    try:
        url = make_url(where)
    except (ArgumentError, ValueError) as error:
        raise StagingError(f"database: not a URL, expected {EXPECTED}") from error
    if url.drivername in _POSTGRESQL_DRIVERS:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != SQLITE:
        raise StagingError(f"database: got {url.drivername}://…, expected {EXPECTED}")
    if not url.database or url.database == ":memory:":
        raise StagingError("database: sqlite:// without a file, expected sqlite:////FILE")
    return url


def shown(url: URL) -> str:
    """Return what a message may say of a database: a path, or a URL without secrets."""
    if url.get_backend_name() == SQLITE:
        return str(url.database)
    url = url.difference_update_query(_SECRET_QUERY).set(drivername=POSTGRESQL)
    return url.render_as_string(hide_password=True)


def reading_engine(url: URL, connections: int) -> Engine:
    """Make the engine whose transactions only read, each from one snapshot."""
    if url.get_backend_name() == SQLITE:
        return _sqlite(url, "BEGIN", connections, BUSY_TIMEOUT_MS, ("query_only=ON",))
    engine = _postgresql(url, connections, STATEMENT_TIMEOUT_MS, BUSY_TIMEOUT_MS)

    @event.listens_for(engine, "connect")
    def on_connect(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

    return engine


def writing_engine(url: URL) -> Engine:
    """Make the engine whose transactions are the only ones that write."""
    if url.get_backend_name() == SQLITE:
        return _sqlite(url, "BEGIN IMMEDIATE", 1, BUSY_TIMEOUT_MS, ("foreign_keys=ON",))
    # One connection is asked whether it still lives; its transaction is shared by many writes.
    engine = _postgresql(url, 1, STATEMENT_TIMEOUT_MS, BUSY_TIMEOUT_MS, pool_pre_ping=True)
    event.listen(engine, "begin", _become_writer)
    return engine


def migrating_engine(url: URL) -> Engine:
    """Make an engine like the writing one, with patience, for one migration.

    On SQLite a table is changed by making it anew, which foreign keys would refuse; the migration
    checks them itself, at its end.
    """
    if url.get_backend_name() == SQLITE:
        return _sqlite(url, "BEGIN IMMEDIATE", 1, MIGRATION_TIMEOUT_MS, ("foreign_keys=OFF",))
    engine = _postgresql(url, 1, MIGRATION_TIMEOUT_MS, MIGRATION_TIMEOUT_MS)
    event.listen(engine, "begin", _become_writer)
    return engine


def is_transient(error: SQLAlchemyError) -> bool:
    """Tell whether the same work may succeed later: a lost connection, a lock, a full disk."""
    if isinstance(error, PoolTimeoutError) or is_disconnect(error):
        return True
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.OperationalError):
        return (cause.sqlite_errorcode & 0xFF) in _SQLITE_TRANSIENT
    return isinstance(cause, psycopg.OperationalError)


def is_disconnect(error: SQLAlchemyError) -> bool:
    """Tell whether there is no connection, because it broke or none could be made."""
    if not isinstance(error, DBAPIError):
        return False
    cause = error.orig
    # Without a state the server did not answer at all; class 57P is "shut down", 53300 "too many".
    state = cause.sqlstate if isinstance(cause, psycopg.OperationalError) else "none"
    return error.connection_invalidated or state is None or state.startswith(("57P", "08", "53300"))


def reason(error: SQLAlchemyError) -> str:
    """Return what the driver said, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _become_writer(connection: Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def _postgresql(
    url: URL, connections: int, statement_ms: int, lock_ms: int, *, pool_pre_ping: bool = False
) -> Engine:
    settings = {
        "statement_timeout": statement_ms,
        "lock_timeout": lock_ms,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
    }
    given = url.query.get("options", "")
    options = [given] if isinstance(given, str) else list(given)
    return create_engine(
        url.difference_update_query(["options"]),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=pool_pre_ping,
        hide_parameters=True,  # an error's text goes to the log; tokens are among the parameters
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "story-cloud",
            # A server that vanished without a word: the kernel gives up, not we after hours.
            "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
            "keepalives_idle": CONNECT_TIMEOUT_S,
            "options": " ".join([*options, *(f"-c {k}={v}" for k, v in settings.items())]).strip(),
        },
    )


def _sqlite(
    url: URL, begin: str, connections: int, busy_ms: int, pragmas: tuple[str, ...]
) -> Engine:
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"timeout": busy_ms / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        # The driver's own transaction handling knows no savepoints; ours is explicit.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={busy_ms}", "journal_mode=WAL", "synchronous=FULL", *pragmas
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
