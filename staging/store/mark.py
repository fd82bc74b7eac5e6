"""Whether a SQLite store has all that was written to it: the number of its last transaction, kept beside it.

What was committed last is in SQLite's log (``-wal``) alone. SQLite takes a log that is missing, emptied, cut or of another
store for none: it opens the file as that was minutes or days ago, and says nothing. So each transaction of the server's has a
number in the store, and after its commit the file ``-mark`` gets the same. A store of a lower number, or one that is another
store, is not what was there. The mark is not synced: after a power cut it may be behind, and never ahead.

The numbers are SQLite's own two of its first page, which it leaves to programs: ``user_version``, and ``application_id`` for
which store it is. Other programs, and older ones of ours, pass over them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy.orm import Session

from base.sqlite import Connection
from staging.store import engine, room
from staging.store.place import Fault, log_of

END = "-mark"
MODE = 0o600
# SQLite's numbers have 31 bits and a sign: of two of them, less than half of all numbers apart, the later one is the higher.
NUMBERS = 2**31
_LINE = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{8})\n")


class State(NamedTuple):
    """Which store, and its last transaction."""

    store: int
    number: int


class StoreMark:
    """Numbers a store's transactions, and keeps the last one beside it."""

    def __init__(self, path: Path) -> None:
        """Number the transactions of the store at ``path``, which is open in this process alone for writing."""
        self._path = log_of(path, END)
        self._state: State | None = None
        self._counted: tuple[sqlite3.Connection, int] | None = None
        """The connection, and how much had been changed by it when its last transaction was counted."""
        self._handle: int | None = None

    def count(self, session: Session) -> State | None:
        """Give the transaction of ``session`` the next number; None: it has changed nothing.

        It has that number once `keep` is told of its commit: one that fails leaves the store as it was.
        """
        raw = session.connection().connection.driver_connection
        if not isinstance(raw, sqlite3.Connection) or not self._has_changed(raw):
            return None
        found = self._state or _read(raw)
        if not found.store:
            found = State(1 + secrets.randbelow(NUMBERS - 1), found.number)
            raw.execute(f"PRAGMA application_id={found.store}").close()
        counted = State(found.store, (found.number + 1) % NUMBERS)
        raw.execute(f"PRAGMA user_version={counted.number}").close()
        return counted

    def _has_changed(self, raw: sqlite3.Connection) -> bool:
        known, before = self._counted or (raw, 0)
        self._counted = raw, raw.total_changes
        return raw.total_changes != (before if known is raw else 0)

    def keep(self, state: State | None) -> None:
        """Note a transaction that is committed; where that cannot be written, the one before stays noted."""
        if state is None:
            return
        self._state = state
        with contextlib.suppress(OSError):
            if self._handle is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
                self._handle = os.open(self._path, flags, MODE)
            os.pwrite(self._handle, b"%08x %08x\n" % state, 0)

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def forget(path: Path) -> None:
    """Remove the mark of a store that was in this place: another one begins there."""
    with contextlib.suppress(OSError):
        log_of(path, END).unlink(missing_ok=True)


def find_fault(path: Path) -> Fault | None:
    """Return what a store lacks of what was there; None: nothing, or nobody knows. Nothing is changed."""
    noted = _noted(path)
    if noted is None:
        return None
    try:
        with closing(open_to_read(path)) as connection:
            found = _read(connection)
    except sqlite3.Error:
        return None  # whoever opens it is told why
    mark = log_of(path, END)
    # Without a name it is this one as it was before its first mark.
    if found.store not in {noted.store, 0}:
        return Fault(
            f"不是原来的数据库：请把原来的放回来，或用 `story-cloud restore FILE` 恢复备份；确实要用它，请删除 {mark}",
            f"is another store than the one that was here: put that back, or a backup with `story-cloud restore FILE`; to go "
            f"on with this one, remove {mark}",
        )
    lost = (noted.number - found.number) % NUMBERS
    if not 0 < lost < NUMBERS // 2:
        return None
    zh, en = _about_log(log_of(path, "-wal"))
    return Fault(
        f"缺少最后写入的 {lost} 次更改（{zh}）：请把原来的数据库和日志放回来，或用 `story-cloud restore FILE` 恢复备份；"
        f"确实不要这些更改，请删除 {mark}",
        f"lacks the last {lost} transactions that were written to it ({en}): put back the file and its log as they were, or a "
        f"backup with `story-cloud restore FILE`; to go on without those, remove {mark}",
    )


def open_to_read(path: Path, timeout: float = 5.0) -> sqlite3.Connection:
    """Open a store so that nothing of it is changed: the end of another connection would empty its log."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    if room.is_read_only(path.parent) and engine.is_whole_alone(engine.locate(path)):
        uri += "&immutable=1"  # SQLite would make a log's index there
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout, factory=Connection)


def _about_log(log: Path) -> tuple[str, str]:
    try:
        size = log.stat().st_size
    except OSError:
        return f"没有它的日志 {log.name}", f"its log {log.name} is missing"
    return f"日志 {log.name} 有 {size} 字节", f"its log {log.name} has {size} bytes"


def _noted(path: Path) -> State | None:
    """Return what is noted beside a store; None: nothing that can be read."""
    try:
        handle = os.open(log_of(path, END), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            match = _LINE.fullmatch(os.read(handle, 64))
        finally:
            os.close(handle)
    except OSError:
        return None
    return State(int(match[1], 16), int(match[2], 16)) if match else None


def _read(connection: sqlite3.Connection) -> State:
    store, number = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    return State(store % (2 * NUMBERS), number % NUMBERS)
