"""Short look-ups in the event loop: those that every request of an app or a device waits for.

A thread costs such a look-up more than itself: two switches, and the interpreter's lock, for which it waits
behind the thread that writes. On SQLite it is therefore done in the loop, by a connection that only the loop
has; a bound on its steps ends one that is no short look-up, and a thread does that. On PostgreSQL it is one
prepared statement in a pipeline that all look-ups share (`pipeline`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Select
from sqlalchemy.dialects import sqlite

from base.sqlite import Connection
from staging.store import engine

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.sql.compiler import SQLCompiler

# A look-up by indexes takes some hundred steps of SQLite's machine; a scan of a table takes more than these,
# which are two milliseconds.
STEPS, STEPS_TIMES = 10_000, 10
# Nobody can keep a reader of SQLite's log waiting but a process that recovers it; a thread waits for that.
BUSY_MS = 2
# Statements kept prepared: more than there are.
STATEMENTS_KEPT = 64

Row = tuple[Any, ...]


class Lookup:
    """One SELECT with named parameters that finds at most one row; its text is made once."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        """Keep the statement; its texts are made when they are needed, since commands need none."""
        self._statement = statement

    @cached_property
    def sqlite(self) -> str:
        """The text for SQLite, with ``:name``."""
        return str(self._of_sqlite)

    @cached_property
    def numbered(self) -> tuple[str, tuple[str, ...]]:
        """The text for PostgreSQL itself, with ``$1``, and the names of the parameters in their order."""
        from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg  # noqa: PLC0415  # its way to write them

        made = self._statement.compile(dialect=PGDialect_asyncpg())  # type: ignore[no-untyped-call]
        return str(made), tuple(made.positiontup or ())

    @cached_property
    def postgresql(self) -> str:
        """The text for psycopg, with ``%(name)s``."""
        from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg  # noqa: PLC0415

        return str(self._statement.compile(dialect=PGDialect_psycopg()))  # type: ignore[no-untyped-call]

    @cached_property
    def _of_sqlite(self) -> SQLCompiler:
        return self._statement.compile(dialect=sqlite.dialect(paramstyle="named"))

    @cached_property
    def _constants(self) -> dict[str, object]:
        return {k: v for k, v in self._of_sqlite.params.items() if v is not None}

    def parameters(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return all parameters: the given ones, and those that are the statement's own."""
        return {**self._constants, **values}


class Reader(Protocol):
    """Finds a row without a thread."""

    async def find(self, lookup: Lookup, values: dict[str, object]) -> Row | None:
        """Return the row, or None.

        Raises:
            NotHereError: a thread must do it.
            DriverError: `psycopg.Error` or `sqlite3.Error`; the database is at fault.
        """

    def drop(self) -> None:
        """Close the connections; the next look-up makes new ones."""

    async def close(self) -> None:
        """Close the connections for good."""


class NotHereError(Exception):
    """The look-up needs a thread: it takes long, or has to wait."""


class SqliteReader:
    """Looks up in a SQLite file, in the caller's thread, which is the event loop's."""

    def __init__(self, url: URL) -> None:
        """Read the file of ``url``; it is opened at the first look-up."""
        self._path = str(url.database)
        self._connection: sqlite3.Connection | None = None
        self._left = 0

    async def find(self, lookup: Lookup, values: dict[str, object]) -> Row | None:
        """Return the row of a look-up; see `Reader.find`."""
        if self._connection is None:
            self._connection = self._open()
        self._left = STEPS_TIMES
        try:
            rows = self._connection.execute(lookup.sqlite, values).fetchall()
        except sqlite3.OperationalError as error:
            raise NotHereError from error  # the thread's attempt says what is wrong, if anything is
        return rows[0] if rows else None

    def _open(self) -> sqlite3.Connection:
        try:
            made = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False,
                cached_statements=STATEMENTS_KEPT, factory=Connection,
            )  # fmt: skip
            made.execute(f"PRAGMA busy_timeout={BUSY_MS}")
            made.execute("PRAGMA query_only=ON")
        except sqlite3.OperationalError as error:
            raise NotHereError from error
        made.text_factory = engine.lenient_text
        # The steps are counted on over all uses of a statement, so each look-up counts its own calls.
        made.set_progress_handler(self._count, STEPS)
        return made

    def _count(self) -> bool:
        self._left -= 1
        return self._left <= 0

    def drop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        """Close the connection."""
        self.drop()
