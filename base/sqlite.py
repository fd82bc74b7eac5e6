"""SQLite connections whose errors are SQLite's, whatever a damaged file puts into their words.

An error quotes the file: of a schema with a bit of another value the words may be no UTF-8. Python's `sqlite3` raises
UnicodeDecodeError then, which nobody takes for damage.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


# What SQLite says of content that is none of ours: damaged, no database, a wrong schema or type.
_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_FORMAT,
}
_READ_FAULTS = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error of a program's own statements comes from the file's content, not from its disk or its other users."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # of damaged words, or of Python's binding
        return not isinstance(error, sqlite3.OperationalError)
    return code in _READ_FAULTS or code & 0xFF in _DAMAGE


class Cursor(sqlite3.Cursor):
    """A cursor whose statements raise `sqlite3.Error` alone."""

    def execute(self, *words: Any) -> Self:
        """As in `sqlite3`."""
        _guarded(super().execute, *words)
        return self

    def executemany(self, *words: Any) -> Self:
        """As in `sqlite3`."""
        _guarded(super().executemany, *words)
        return self

    def executescript(self, *words: Any) -> Self:
        """As in `sqlite3`."""
        _guarded(super().executescript, *words)
        return self


class Connection(sqlite3.Connection):
    """A connection with such cursors, for `sqlite3.connect`'s ``factory``."""

    def cursor(self, factory: Any = Cursor) -> Any:
        """As in `sqlite3`."""
        return super().cursor(factory)

    def execute(self, *words: Any) -> Any:
        """As in `sqlite3`."""
        return self.cursor().execute(*words)

    def executemany(self, *words: Any) -> Any:
        """As in `sqlite3`."""
        return self.cursor().executemany(*words)

    def executescript(self, *words: Any) -> Any:
        """As in `sqlite3`."""
        return self.cursor().executescript(*words)


def _guarded(work: Callable[P, T], *words: P.args, **named: P.kwargs) -> T:
    try:
        return work(*words, **named)
    except UnicodeDecodeError as error:
        raise sqlite3.DatabaseError(bytes(error.object).decode(errors="replace")) from error
