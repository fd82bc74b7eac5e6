"""Engines that make the store behave alike on SQLite and PostgreSQL.

Writing transactions are serialized (docs/adr/0008): SQLite has a single writer anyway, and on
PostgreSQL each takes the same advisory lock first. So "look, then insert" is safe in all of
`staging.store`, across threads and processes. A reader's transaction sees one snapshot and cannot
write.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from base import sqlite as guarded
from staging.errors import StagingError

# It warns of whatever it leaves behind after an error; the error itself is raised, and told.
logging.getLogger("psycopg").setLevel(logging.ERROR)

if TYPE_CHECKING:
    import psycopg

SQLITE, POSTGRESQL = "sqlite", "postgresql"
EXPECTED = "sqlite:////FILE or postgresql://USER:PASSWORD@HOST/NAME"

# How long a command waits for a running server's writes before its own (milliseconds).
BUSY_TIMEOUT_MS = 5000
# A migration may copy a large table, and processes that start meanwhile wait for it.
MIGRATION_TIMEOUT_MS = 600_000
# The store's statements take milliseconds; one that takes this long is cancelled.
STATEMENT_TIMEOUT_MS = 10_000
# A process that hangs inside a transaction must not keep the others from writing.
IDLE_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 5
# How long emptying SQLite's log waits for those that read from it; it is tried again.
SCRUB_TIMEOUT_S = 2.0
# How long a thread waits for a pooled connection: longer than the current user's statement.
POOL_TIMEOUT_S = 15
# The lock that every writing transaction holds; any number that stays the same.
WRITER_LOCK = 0x73746F7279  # "story"

_POSTGRESQL_DRIVERS = {"postgresql", "postgres", "postgresql+psycopg"}
_SECRET_QUERY = ("password", "sslpassword")


class Trouble(Enum):
    """What can keep a database from working that is no fault of the statement."""

    GONE = "the connection broke or cannot be made"
    FULL = "it cannot be written"
    BUSY = "somebody else has it, or too much waits"
    DAMAGED = "what is stored is damaged"


_SQLITE_TROUBLE = {
    sqlite3.SQLITE_BUSY: Trouble.BUSY,
    sqlite3.SQLITE_LOCKED: Trouble.BUSY,
    sqlite3.SQLITE_IOERR: Trouble.BUSY,
    sqlite3.SQLITE_FULL: Trouble.FULL,
    # Without inodes or blocks the log (-wal) and its index (-shm) cannot be made.
    sqlite3.SQLITE_CANTOPEN: Trouble.FULL,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
}
# A quota, a limit on file sizes, and a disk that allocates late do not say that they are full.
_SQLITE_UNWRITABLE = {
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMMAP,
}
_POSTGRESQL_FULL = "53100"
_POSTGRESQL_DAMAGED = ("XX001", "XX002")


def locate(where: Path | str | URL) -> URL:
    """Return the URL of a SQLite file, or the normalized URL that a user gave.

    Raises:
        StagingError: not a supported URL. The message omits the URL, which may have a password.
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


def file_of(where: Path | str | URL) -> Path | None:
    """Return the SQLite file of a place, None for PostgreSQL; raises StagingError."""
    url = locate(where)
    return Path(str(url.database)) if url.get_backend_name() == SQLITE else None


def shown(url: URL) -> str:
    """Return a database's name for messages: a path, or a URL without secrets."""
    if url.get_backend_name() == SQLITE:
        return str(url.database)
    url = url.difference_update_query(_SECRET_QUERY).set(drivername=POSTGRESQL)
    return url.render_as_string(hide_password=True)


def reading_engine(url: URL, connections: int) -> Engine:
    """Create the engine for transactions that only read, each from one snapshot."""
    if url.get_backend_name() == SQLITE:
        return _sqlite(url, "BEGIN", connections, BUSY_TIMEOUT_MS, ("query_only=ON",))
    engine = _postgresql(url, connections, STATEMENT_TIMEOUT_MS, BUSY_TIMEOUT_MS)
    from psycopg import IsolationLevel  # noqa: PLC0415  # a seventh of a second of each command

    @event.listens_for(engine, "connect")
    def on_connect(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.read_only = True
        connection.isolation_level = IsolationLevel.REPEATABLE_READ

    return engine


def writing_engine(url: URL) -> Engine:
    """Create the engine for writing transactions, of which only one runs at a time."""
    if url.get_backend_name() == SQLITE:
        # What is deleted is overwritten, as far as SQLite does it.
        pragmas = ("foreign_keys=ON", "secure_delete=ON")
        return _sqlite(url, "BEGIN IMMEDIATE", 1, BUSY_TIMEOUT_MS, pragmas)
    # pool_pre_ping costs little here: many writes share one transaction of the one connection.
    engine = _postgresql(url, 1, STATEMENT_TIMEOUT_MS, BUSY_TIMEOUT_MS, pool_pre_ping=True)
    event.listen(engine, "begin", _become_writer)
    return engine


def migrating_engine(url: URL) -> Engine:
    """Create an engine like the writing one, but with long timeouts, for one migration.

    On SQLite a table is changed by recreating it, which foreign keys would prevent; the migration
    checks them itself at its end.
    """
    if url.get_backend_name() == SQLITE:
        return _sqlite(url, "BEGIN IMMEDIATE", 1, MIGRATION_TIMEOUT_MS, ("foreign_keys=OFF",))
    engine = _postgresql(url, 1, MIGRATION_TIMEOUT_MS, MIGRATION_TIMEOUT_MS)
    event.listen(engine, "begin", _become_writer)
    return engine


def scrub(url: URL) -> bool:
    """Take what was deleted from the files that lie beside the tables; return whether that was possible now.

    SQLite's log holds pages of before until it is emptied; the main file is overwritten at each deletion
    (``secure_delete``), but for copies in the free room of pages that were rebuilt. PostgreSQL gives the room of
    deleted rows free, and keeps their bytes in its own files and its log until it uses them again. No client can
    reach those, and so voice is sealed (docs/adr/0072, 0084).
    """
    if url.get_backend_name() == SQLITE:
        with closing(
            sqlite3.connect(str(url.database), timeout=SCRUB_TIMEOUT_S, factory=guarded.Connection)
        ) as connection:
            try:
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                if _trouble_of_sqlite(error) is None:
                    raise StagingError(f"{shown(url)}: {error}") from error
                return False
        return int(busy) == 0
    engine = _postgresql(url, 1, STATEMENT_TIMEOUT_MS, BUSY_TIMEOUT_MS)
    try:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.autocommit = True  # VACUUM takes no transaction
            connection.exec_driver_sql("VACUUM reports, voice_ledger")
    finally:
        engine.dispose()
    return True


def trouble_of(error: SQLAlchemyError) -> Trouble | None:
    """Return what keeps the database from working; None: the statement is at fault."""
    if isinstance(error, PoolTimeoutError):
        return Trouble.BUSY
    if is_disconnect(error):
        return Trouble.GONE
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.DatabaseError):
        return _trouble_of_sqlite(cause)
    state = getattr(cause, "sqlstate", None)
    if state in _POSTGRESQL_DAMAGED:
        return Trouble.DAMAGED
    if _of_postgresql(cause) is None:
        return None
    return Trouble.FULL if state == _POSTGRESQL_FULL else Trouble.BUSY


def _trouble_of_sqlite(cause: sqlite3.Error) -> Trouble | None:
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        return None
    return Trouble.FULL if code in _SQLITE_UNWRITABLE else _SQLITE_TROUBLE.get(code & 0xFF)


def is_disconnect(error: SQLAlchemyError) -> bool:
    """Return whether the connection broke or could not be made."""
    if not isinstance(error, DBAPIError):
        return False
    cause = _of_postgresql(error.orig)
    # No SQLSTATE: the server did not respond. 57P: shutdown; 08: connection; 53300: too many.
    state = cause.sqlstate if cause else "none"
    return error.connection_invalidated or state is None or state.startswith(("57P", "08", "53300"))


def is_read_only(error: SQLAlchemyError) -> bool:
    """Return whether a statement would have changed a file that is open for reading alone."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_READONLY)


def is_whole_alone(url: URL) -> bool:
    """Return whether a SQLite file has everything itself: no log with changes lies beside it."""
    if url.get_backend_name() != SQLITE:
        return False
    try:
        return Path(f"{url.database}-wal").stat().st_size == 0
    except FileNotFoundError:
        return Path(str(url.database)).exists()
    except OSError:
        return False


def driver_errors() -> tuple[type[Exception], ...]:
    """Return the classes of errors that the drivers in use raise."""
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error,) if psycopg is None else (sqlite3.Error, psycopg.Error)


def _of_postgresql(cause: BaseException | None) -> psycopg.OperationalError | None:
    from psycopg import OperationalError  # noqa: PLC0415  # only where something went wrong

    return cause if isinstance(cause, OperationalError) else None


def reason(error: SQLAlchemyError) -> str:
    """Return the driver's message on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def _become_writer(connection: Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def lenient_text(data: bytes) -> str:
    """Decode a text of SQLite's; what damage made of it spoils this text alone."""
    return data.decode("utf-8", "replace")


def frozen_engine(url: URL, connections: int) -> Engine:
    """Create an engine that reads a SQLite file on a disk so full that its log cannot be made.

    The file must not change meanwhile, and what a log beside it holds is not seen: there must be none.
    """
    frozen = url.set(database=f"file:{quote(str(url.database))}").update_query_dict({
        "mode": "ro", "immutable": "1", "uri": "true"
    })  # fmt: skip
    made = create_engine(
        frozen,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "factory": guarded.Connection},
    )

    @event.listens_for(made, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.text_factory = lenient_text

    return made


def postgresql_arguments(url: URL) -> dict[str, Any]:
    """Return all arguments of a connection of psycopg's own to ``url``, with the store's limits."""
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg  # noqa: PLC0415

    plain = url.difference_update_query(["options"])
    _, named = PGDialect_psycopg().create_connect_args(plain)  # type: ignore[no-untyped-call]
    return {**named, **_limits(url, STATEMENT_TIMEOUT_MS, BUSY_TIMEOUT_MS)}


def _limits(url: URL, statement_ms: int, lock_ms: int) -> dict[str, Any]:
    settings = {
        "statement_timeout": statement_ms,
        "lock_timeout": lock_ms,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
    }
    given = url.query.get("options", "")
    options = [given] if isinstance(given, str) else list(given)
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "story-cloud",
        # If the server vanishes silently, the kernel drops the connection, not us after hours.
        "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
        "keepalives_idle": CONNECT_TIMEOUT_S,
        "options": " ".join([*options, *(f"-c {k}={v}" for k, v in settings.items())]).strip(),
    }


def _postgresql(
    url: URL, connections: int, statement_ms: int, lock_ms: int, *, pool_pre_ping: bool = False
) -> Engine:
    return create_engine(
        url.difference_update_query(["options"]),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=pool_pre_ping,
        hide_parameters=True,  # errors are logged, and parameters include tokens
        connect_args=_limits(url, statement_ms, lock_ms),
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
        connect_args={
            "timeout": busy_ms / 1000,
            "check_same_thread": False,
            "factory": guarded.Connection,
        },
    )

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        # The driver's own transaction handling does not support savepoints; ours is explicit.
        connection.isolation_level = None
        connection.text_factory = lenient_text
        for pragma in (
            f"busy_timeout={busy_ms}", "journal_mode=WAL", "synchronous=FULL", *pragmas
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
