"""SQLite of a file with a bit of another value: every error is one of SQLite's."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from base.sqlite import Connection, is_damage

SCHEMA = "CREATE TABLE heard (id INTEGER PRIMARY KEY, place REAL)"


def spoilt(path: Path) -> list[bytes]:
    """Return the file once for each bit of its schema's text that is another one."""
    with closing(sqlite3.connect(path)) as made:
        made.execute(SCHEMA)
    whole = path.read_bytes()
    first = whole.index(SCHEMA.encode())
    found = []
    for place in range(first, first + len(SCHEMA)):
        for bit in range(8):
            other = bytearray(whole)
            other[place] ^= 1 << bit
            found.append(bytes(other))
    return found


@pytest.mark.parametrize("word", ["execute", "executemany", "executescript"])
def test_words_of_a_damaged_file_that_are_no_text_are_an_error_of_the_file(
    word: str, tmp_path: Path
) -> None:
    statement = "DELETE FROM heard" if word == "executescript" else "DELETE FROM heard WHERE id = ?"
    values: list[object] = []
    if word != "executescript":
        values.append((1,) if word == "execute" else [(1,)])
    path = tmp_path / "file.sqlite"
    told: list[str] = []
    for data in spoilt(path):
        path.write_bytes(data)
        with closing(sqlite3.connect(path, factory=Connection)) as opened:
            try:
                getattr(opened, word)(statement, *values)
            except sqlite3.DatabaseError as error:
                told.append(str(error))
    assert any("malformed" in text and "\N{REPLACEMENT CHARACTER}" in text for text in told)


def test_pythons_own_raises_another_error_and_so_this_is_needed(tmp_path: Path) -> None:
    path, others = tmp_path / "file.sqlite", 0
    for data in spoilt(path):
        path.write_bytes(data)
        with closing(sqlite3.connect(path)) as opened, contextlib.suppress(sqlite3.Error):
            try:
                opened.execute("DELETE FROM heard")
            except UnicodeDecodeError:
                others += 1
    assert others


def error_of(path: Path, *statements: str) -> sqlite3.Error:
    with closing(sqlite3.connect(path, timeout=0, factory=Connection)) as file:
        for statement in statements:
            try:
                file.execute(statement)
            except sqlite3.Error as error:
                return error
    raise AssertionError("no statement failed")


def test_what_is_damage_and_what_is_the_disk_s_or_somebody_else_s(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    bad = spoilt(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not is_damage(error_of(path, "BEGIN IMMEDIATE"))  # somebody else writes
    assert not is_damage(
        error_of(path, "PRAGMA max_page_count=2", "CREATE TABLE other (id)")
    )  # full
    with pytest.raises(sqlite3.OperationalError) as raised:
        sqlite3.connect(tmp_path)
    assert not is_damage(raised.value)
    assert is_damage(error_of(path, "SELECT place FROM hears"))
    for data in (b"no database" * 100, bad[0]):
        path.write_bytes(data)
        assert is_damage(error_of(path, "DELETE FROM heard"))
