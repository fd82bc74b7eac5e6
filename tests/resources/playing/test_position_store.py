"""What is remembered of titles, on the disk."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import resources.playing.position_store
from resources.playing.beat_file import Beat
from resources.playing.position_store import PositionStore
from resources.playing.resume import Heard
from tests.base.sqlite_builds import as_built_with_normal


@pytest.fixture
def store(tmp_path: Path) -> PositionStore:
    made = PositionStore(tmp_path)
    assert made.open() == 0
    return made


def again(store: PositionStore, folder: Path) -> PositionStore:
    store.close()
    made = PositionStore(folder)
    made.open()
    return made


def test_rows_and_notes_are_there_again(store: PositionStore, tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff.mp3")
    rows = {"a": Heard(5.0, 60.0, turn=1, when=9.0), odd: Heard(0.0, None, finished=True, turn=2)}
    store.write(rows, {"mode": "shuffle", "x": "1"})
    store.write({}, {"x": None})
    store = again(store, tmp_path)
    assert store.heard("a") == rows["a"]
    assert store.heard(odd) == rows[odd]
    assert store.heard("b") is None
    assert [key for key, _ in store.latest()] == [odd, "a"]
    assert store.notes() == {"mode": "shuffle"}
    store.close()


def test_a_row_is_on_the_disk_whatever_sqlite_was_built_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_built_with_normal(monkeypatch)
    store = PositionStore(tmp_path)
    store.open()
    assert store._open_db.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_the_ones_heard_longest_ago_are_forgotten_first(
    store: PositionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.playing.position_store, "HEARD_LIMIT", 3)
    for turn in range(1, 8):
        store.write({f"{turn % 5}": Heard(1.0, turn=turn)}, {})
    assert [key for key, _ in store.latest()] == ["2", "1", "0"]
    store.close()


def test_titles_are_forgotten_by_name_or_all(store: PositionStore) -> None:
    store.write({key: Heard(1.0, turn=n) for n, key in enumerate("abc")}, {"mode": "order"})
    assert store.forget(["a", "x"]) == 1
    assert store.heard("a") is None
    assert store.forget(None) == 2
    assert store.latest() == []
    assert store.notes() == {"mode": "order"}
    store.close()


@pytest.mark.parametrize(
    ("forgotten", "left"), [(None, None), (["a", "b"], None), (["b"], 12.5)], ids=str
)
def test_what_was_forgotten_does_not_come_back_with_the_next_start(
    store: PositionStore, tmp_path: Path, forgotten: list[str] | None, left: float | None
) -> None:
    """The beat of a title is its last place too; found by the simulation's cuts."""
    store.beat(Beat(2, b"a", 12.5, 60.0))
    store.forget(forgotten)
    store = again(store, tmp_path)
    found = store.heard("a")
    assert (found.at if found else None) == left
    assert store.beat(Beat(9, b"a", 3.0, 60.0))  # and places are noted as before
    assert again(store, tmp_path).heard("a") == Heard(3.0, 60.0, turn=9)


@pytest.mark.parametrize(("turn", "place"), [(2, 20.0), (4, 12.5)], ids=["older", "newer"])
def test_a_power_cut_while_a_title_is_forgotten_leaves_no_older_place(
    store: PositionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int, place: float
) -> None:
    """Found by the simulation's cuts: the row went before the beat, whose place was older than the row's."""
    store.write({"a": Heard(20.0, 60.0, turn=3)}, {})
    store.beat(Beat(turn, b"a", 12.5, 60.0))
    with monkeypatch.context() as patch:
        patch.setattr("resources.playing.beat_file.write_atomically", _no_room)
        with pytest.raises(OSError, match="No space"):
            store.forget(["a"])
    found = again(store, tmp_path).heard("a")
    assert found is not None
    assert found.at == place


_connect = PositionStore._connect


def _without_an_index(store: PositionStore, *, alone: bool = False) -> sqlite3.Connection:
    """Open the file as on a full disk, where the log's index finds no room."""
    if not alone:
        raise sqlite3.OperationalError("unable to open database file")
    return _connect(store, alone=True)


def _no_room(*_words: object, **_named: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_last_beat_is_a_row_after_a_power_cut(store: PositionStore, tmp_path: Path) -> None:
    store.write({"a": Heard(5.0, 60.0, turn=1, when=9.0)}, {})
    assert store.beat(Beat(2, b"a", 12.5, 60.0))
    store = again(store, tmp_path)
    assert store.heard("a") == Heard(12.5, 60.0, turn=2, when=9.0)
    # What was noted after the beat is newer.
    store.write({"a": Heard(0.0, 60.0, finished=True, turn=3)}, {})
    store = again(store, tmp_path)
    assert store.heard("a") == Heard(0.0, 60.0, finished=True, turn=3)
    store.close()


def test_a_damaged_file_costs_what_it_held(
    store: PositionStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.write({"a": Heard(5.0, turn=1)}, {})
    store.close()
    (tmp_path / "playing.sqlite").write_bytes(b"no database at all, " * 300)
    made = PositionStore(tmp_path)
    made.open()
    assert made.heard("a") is None
    made.write({"a": Heard(6.0, turn=1)}, {})
    assert made.heard("a") == Heard(6.0, turn=1)
    assert len([r for r in caplog.records if "is damaged" in r.getMessage()]) == 1
    assert (tmp_path / "playing.damaged").exists()
    made.close()


def test_a_damaged_file_on_a_disk_that_is_full_is_put_aside_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try does not come so far as to see the damage: there is no room for the log's index."""
    (tmp_path / "playing.sqlite").write_bytes(b"no database at all, " * 300)
    monkeypatch.setattr(PositionStore, "_connect", _without_an_index)
    made = PositionStore(tmp_path)
    assert made.open() == 0
    made.write({"a": Heard(6.0, turn=1)}, {})
    assert made.heard("a") == Heard(6.0, turn=1)
    assert (tmp_path / "playing.damaged").exists()
    made.close()


@pytest.mark.parametrize(
    "columns", ["key BLOB", "key BLOB, at REAL, length REAL, finished INTEGER, turn INTEGER"]
)
def test_a_file_of_other_columns_is_put_aside(tmp_path: Path, columns: str) -> None:
    with sqlite3.connect(tmp_path / "playing.sqlite") as db:
        db.execute(f"CREATE TABLE heard ({columns})")
    db.close()
    made = PositionStore(tmp_path)
    assert made.open() == 0
    assert (tmp_path / "playing.damaged").exists()
    made.close()


def test_a_file_whose_schema_has_any_bit_of_another_value_is_read_or_begun_anew(
    tmp_path: Path,
) -> None:
    """SQLite's words for it quote the schema, which may be no UTF-8 then (seed 306 of a day)."""
    path = tmp_path / "playing.sqlite"
    made = PositionStore(tmp_path)
    made.open()
    made.close()
    whole = path.read_bytes()
    first = whole.index(b"CREATE TABLE heard")
    for place in range(first, first + 160):
        other = bytearray(whole)
        other[place] ^= (0x80, 0x01)[place % 2]
        path.write_bytes(other)
        damaged = PositionStore(tmp_path)
        damaged.open()
        damaged.write({"a": Heard(5.0, 60.0, turn=1, when=9.0)}, {})
        assert damaged.heard("a") is not None
        damaged.close()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        PositionStore(tmp_path / "none").open()
    with pytest.raises(sqlite3.OperationalError):
        PositionStore(tmp_path).heard("a")


FULL = """
import resource, signal, sqlite3, sys
from pathlib import Path
from resources.playing.position_store import PositionStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
store = PositionStore(Path(sys.argv[1]))
turn = store.open()
print(turn, store.notes(), store.heard("a").at, store.unnoted.key, store.unnoted.at)
try:
    store.write({}, {"mode": "order"})
except sqlite3.OperationalError as error:
    print("refused", type(error).__name__)
"""


def test_what_is_kept_is_read_on_a_full_disk_too(store: PositionStore, tmp_path: Path) -> None:
    store.write({"a": Heard(5.0, 60.0, turn=1)}, {"mode": "shuffle"})
    assert store.beat(Beat(2, b"b", 12.5, None))
    store.close()
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "2 {'mode': 'shuffle'} 5.0 b'b' 12.5",
        "refused OperationalError",
    ], done.stderr
    store = again(store, tmp_path)
    assert store.heard("b") == Heard(12.5, None, turn=2)
    assert store.unnoted is None
    store.close()


def test_a_try_that_failed_half_way_does_not_keep_the_next_one_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: PositionStore) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    store = PositionStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(PositionStore, "_connect", _without_an_index)
        patch.setattr(PositionStore, "_highest_turn", fail)
        with pytest.raises(sqlite3.OperationalError, match="disk I/O"):
            store.open()
    assert store.open() == 0
    store.close()
