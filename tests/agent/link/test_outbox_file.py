"""The outbox's file by itself: what is in it when a call returns, and what it does not grow beyond."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.link import outbox_file
from agent.link.outbox_file import OutboxFile, Sweep, make_file
from agent.link.outbox_rows import Row, make_row

NAME = "outbox.sqlite"


def row(value: int) -> Row:
    return make_row("volume", value, "ab" * 8, value + 1, 1000)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[OutboxFile]:
    opened = OutboxFile(tmp_path / NAME)
    yield opened
    opened.close()


def test_what_was_salvaged_is_in_the_new_file_and_not_in_a_log_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is renamed alone. Its close writes the log back too, unless another one reads the file."""
    readers: list[sqlite3.Connection] = []
    connect = outbox_file._connect

    def watched(path: Path) -> sqlite3.Connection:
        made = connect(path)
        readers.append(sqlite3.connect(path))
        assert readers[0].execute("SELECT count(*) FROM report").fetchone() == (0,)
        return made

    monkeypatch.setattr(outbox_file, "_connect", watched)
    make_file(tmp_path / NAME, {3: row(1), 7: row(2)}, ["77:final"], {"volume": 2}, 9)
    monkeypatch.undo()
    alone = OutboxFile(Path(shutil.copy(tmp_path / NAME, tmp_path / "alone")))
    assert alone.everything() == ({3: row(1), 7: row(2)}, ["77:final"])
    assert (alone.told(), alone.last_id()) == ({"volume": 2}, 9)
    assert alone.write([(row(3), None)], [], Sweep()) == [10]
    alone.close()
    readers[0].close()


def test_of_names_that_are_once_the_newest_4096_are_known(file: OutboxFile) -> None:
    file.write([(row(n), f"77:{n}") for n in range(4100)], [], Sweep())
    assert [file.has_once(f"77:{n}") for n in (0, 3, 4, 4099)] == [False, False, True, True]


def test_of_damaged_rows_the_newest_64_are_kept_aside(file: OutboxFile) -> None:
    ids = file.write([(row(n), None) for n in range(70)], [], Sweep())
    file.write([], [], Sweep(bad=dict.fromkeys(ids[:68], "damaged")))
    kept = file._db.execute("SELECT id, key, why FROM aside ORDER BY id").fetchall()
    assert kept == [(row_id, b"volume", b"damaged") for row_id in ids[4:68]]
    assert list(file.everything()[0]) == ids[68:]


def test_what_was_told_is_kept_replaced_and_forgotten(file: OutboxFile) -> None:
    file.write([], [], Sweep(told={"volume": 3, "play": 4}))
    file.write([], [], Sweep(told={"volume": 5, "play": None}))
    assert file.told() == {"volume": 5}
