"""Makes a new outbox of what can be read in a damaged one, and keeps the damaged one beside it.

The new file is whole on the disk before it takes the old one's place, so a power cut at any moment
leaves one of the two. The old one stays as ``outbox.sqlite.bad``, unless the disk has no room for both.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import field
from pathlib import Path

from agent.link.outbox_file import SUFFIXES, OutboxFile, make_file, read_file, remove_file
from agent.link.outbox_rows import BadRowError, Row, parse_row
from agent.link.sqlite_pages import Record, salvage
from base.files import fsync_path
from wire.records import dataclass

TABLES = ("report", "once")
# Characters of a remembered name.
ONCE_MAX = 512


@dataclass(slots=True)
class Salvaged:
    """What was read out of a damaged outbox.

    Attributes:
        rows: the reports by id.
        once: names of reports that were made once.
        told: by data point, the id of a row that was delivered before older ones.
        last_id: the highest id that was ever given, as far as known: it is not given again.
        damaged: rows that were seen and could not be read.
        unseen: how many rows may be missing beside those, by the gaps in the ids.
    """

    rows: dict[int, Row] = field(default_factory=dict)
    once: list[str] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    last_id: int = 0
    damaged: int = 0
    unseen: int = 0

    def describe(self) -> str:
        """Say what was saved and what was not, in words."""
        text = f"{len(self.rows)} waiting reports were saved"
        if self.damaged:
            text += f", {self.damaged} could not be read"
        missing = f"up to {self.unseen} more are" if self.unseen else "more may be"
        return f"{text}, {missing} missing"


def read_rows(path: Path) -> Salvaged:
    """Read the reports in a damaged or unwritable outbox; what cannot be read is left out."""
    found = salvage(read_file(path), read_file(path.with_name(path.name + "-wal")))
    salvaged = Salvaged(damaged=found.damaged)
    for record in found.records:
        _sort(record, salvaged)
    salvaged.rows = dict(sorted(salvaged.rows.items()))
    salvaged.last_id = max([salvaged.last_id, *salvaged.rows, *salvaged.told.values()])
    if ids := salvaged.rows.keys():
        gaps = max(ids) - min(ids) + 1 - len(ids) - salvaged.damaged
        salvaged.unseen = max(0, gaps)
    return salvaged


def _sort(record: Record, salvaged: Salvaged) -> None:
    """Add a record if it is one of the outbox's; a leaf does not say whose it is."""
    columns = record.columns
    if len(columns) == 2 and columns[0] is None and isinstance(columns[1], str):
        if columns[1].isprintable() and len(columns[1]) <= ONCE_MAX:
            salvaged.once.append(columns[1])
    elif len(columns) == 2 and isinstance(columns[0], str) and isinstance(columns[1], int):
        if columns[0] in TABLES:  # SQLite's own table of the last ids
            salvaged.last_id = max(salvaged.last_id, columns[1] * (columns[0] == TABLES[0]))
        else:
            salvaged.told[columns[0]] = columns[1]
    elif len(columns) in {4, 8} and columns[0] is None and isinstance(columns[3], int):
        try:
            salvaged.rows[record.rowid] = parse_row(columns[1:])
        except BadRowError:
            salvaged.damaged += 1


def from_file(file: OutboxFile) -> Salvaged:
    """Return all of an open file; raises sqlite3.Error."""
    rows, once = file.everything()
    return Salvaged(rows, once, file.told(), file.last_id())


def rebuild(path: Path, last_id: int = 0) -> Salvaged:
    """Replace the outbox at ``path`` by a new one with what can be read of it.

    ``last_id`` is the highest id that the caller knows: the new file gives higher ones.

    Raises:
        sqlite3.Error, OSError: the disk does not take a new one; the old one is as it was.
    """
    salvaged = read_rows(path)
    salvaged.last_id = max(salvaged.last_id, last_id)
    replace(path, salvaged)
    return salvaged


def replace(path: Path, salvaged: Salvaged) -> None:
    """Put a new file with what was salvaged in the place of whatever is at ``path``; raises as `rebuild`."""
    new = _new(path)
    remove_file(new)
    unfinished = path.with_name(path.name + ".part")
    remove_file(unfinished)
    try:
        _make(unfinished, salvaged)
    except (sqlite3.Error, OSError):
        # The damaged file of last time may be what fills the disk.
        _remove(_bad(path))
        _make(unfinished, salvaged)
    unfinished.replace(new)
    # What is removed next is in the new file alone then: it must be found under its name after a cut.
    fsync_path(path.parent)
    finish_swap(path)


def _make(path: Path, salvaged: Salvaged) -> None:
    once = list(dict.fromkeys(salvaged.once))
    make_file(path, salvaged.rows, once, salvaged.told, salvaged.last_id)


def finish_swap(path: Path) -> None:
    """Let the new outbox, which is whole, take the old one's place, also after a power cut meanwhile.

    Raises:
        OSError: the disk does not take it.
    """
    _set_aside(path)
    # A log would be replayed into the new file. All that it holds is in there already.
    for suffix in SUFFIXES:
        _remove(path.with_name(path.name + suffix))
    _new(path).replace(path)
    fsync_path(path.parent)


def _set_aside(path: Path) -> None:
    """Keep what is at ``path`` under another name, at both names if it is a file."""
    bad = _bad(path)
    if path.is_dir() or path.is_symlink():
        _remove(bad)
        path.replace(bad)
    elif path.exists() and path.stat().st_size:
        _remove(bad)
        with contextlib.suppress(OSError):  # a file system without links
            os.link(path, bad)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _new(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _bad(path: Path) -> Path:
    return path.with_name(path.name + ".bad")
