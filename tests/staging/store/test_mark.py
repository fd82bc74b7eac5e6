"""A store that lacks what was committed to it is not taken for whole: its log was lost, or it is another store."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from staging.store import Database, devices, mark
from staging.store.mark import NUMBERS, State, StoreMark

Harm = Callable[[Path], object]
pytestmark = pytest.mark.one_database
ROWS = 4


def crashed(path: Path, blank: Path, *, runs: int = 1) -> Path:
    """Make a store as a kill leaves it: what was committed last is in its log alone."""
    shutil.copy(blank, path)
    for run in range(runs):
        with closing(Database(path)) as store:
            store.mark = StoreMark(path)
            for _ in range(ROWS):
                store.call(devices.add, None, 0)
            if run == runs - 1:
                folder = path.parent / "kept"
                folder.mkdir()
                for end in ("", "-wal", "-shm", mark.END):
                    shutil.copy(f"{path}{end}", folder)
    for file in folder.iterdir():
        shutil.move(file, path.parent / file.name)
    return path


def log(path: Path) -> Path:
    return Path(f"{path}-wal")


def cut(part: float) -> Harm:
    return lambda path: log(path).write_bytes(
        log(path).read_bytes()[: int(log(path).stat().st_size * part)]
    )


def flip(at: int) -> Harm:
    def harm(path: Path) -> None:
        content = bytearray(log(path).read_bytes())
        content[at] ^= 0xFF
        log(path).write_bytes(content)

    return harm


LOST: dict[str, Harm] = {
    "removed": lambda path: log(path).unlink(),
    "emptied": cut(0),
    "cut in the header": lambda path: os.truncate(log(path), 20),
    "nothing but a header": lambda path: os.truncate(log(path), 32),
    "cut in the middle": cut(0.5),
    "a byte short": lambda path: os.truncate(log(path), log(path).stat().st_size - 1),
    "zeros": lambda path: log(path).write_bytes(bytes(log(path).stat().st_size)),
    "random": lambda path: log(path).write_bytes(os.urandom(50_000)),
    "damaged in its header": flip(20),
    "damaged in its first page": flip(100),
    "damaged in its last page": flip(-100),
}


@pytest.mark.parametrize("runs", [1, 2], ids=["its first run", "a later run"])
@pytest.mark.parametrize("name", LOST)
def test_a_lost_log_is_told_and_nothing_is_changed(
    name: str, runs: int, tmp_path: Path, blank_store: Path
) -> None:
    path = crashed(tmp_path / "cloud.sqlite", blank_store, runs=runs)
    assert mark.find_fault(path) is None
    LOST[name](path)
    before = [each.read_bytes() for each in (path, log(path)) if each.exists()]
    fault = mark.find_fault(path)
    assert fault is not None
    assert "transactions that were written to it" in fault.en
    assert "次更改" in fault.zh
    assert str(tmp_path / "cloud.sqlite-mark") in fault.en
    assert [each.read_bytes() for each in (path, log(path)) if each.exists()][
        : len(before)
    ] == before
    Path(f"{path}-mark").unlink()  # as it says
    assert mark.find_fault(path) is None


@pytest.mark.parametrize(
    "harmless",
    [
        lambda _path: None,
        lambda path: log(path).write_bytes(log(path).read_bytes() + os.urandom(3000)),
        lambda path: Path(f"{path}-shm").write_bytes(os.urandom(32768)),
        lambda path: Path(f"{path}-shm").unlink(),
        lambda path: Path(f"{path}-mark").write_bytes(b"\xff" * 40),
        lambda path: Path(f"{path}-mark").unlink(),
        lambda path: closing(sqlite3.connect(path)).__enter__().close(),
    ],
    ids=[
        "a kill",
        "a torn tail",
        "a damaged index",
        "no index",
        "a damaged mark",
        "no mark",
        "another program",
    ],
)
def test_what_loses_nothing_is_no_fault(harmless: Harm, tmp_path: Path, blank_store: Path) -> None:
    path = crashed(tmp_path / "cloud.sqlite", blank_store)
    harmless(path)
    assert mark.find_fault(path) is None
    with closing(Database(path)) as store:
        assert len(store.call(devices.views)) == ROWS


def test_another_store_in_its_place_or_its_log_beside_it(tmp_path: Path, blank_store: Path) -> None:
    for name in ("one", "other", "mixed"):
        (tmp_path / name).mkdir()
    one, other = (
        crashed(tmp_path / name / "cloud.sqlite", blank_store) for name in ("one", "other")
    )
    mixed = tmp_path / "mixed" / "cloud.sqlite"
    for part in ((other, other), (one, other)):
        for end, source in zip(("", "-wal"), part, strict=True):
            shutil.copy(f"{source}{end}", f"{mixed}{end}")
        shutil.copy(f"{one}-mark", f"{mixed}-mark")
        fault = mark.find_fault(mixed)
        assert fault is not None
        assert "is another store" in fault.en


def test_a_transaction_that_changes_nothing_or_fails_has_no_number(
    tmp_path: Path, blank_store: Path
) -> None:
    path = tmp_path / "cloud.sqlite"
    shutil.copy(blank_store, path)
    noted = Path(f"{path}-mark")

    def fail(session: object) -> None:
        devices.add(session, None, 0)  # type: ignore[arg-type]
        raise RuntimeError

    with closing(Database(path)) as store:
        store.mark = StoreMark(path)
        store.call(devices.views)
        assert not noted.exists()
        store.call(devices.add, None, 0)
        before = noted.read_bytes()
        store.call(devices.views)
        with pytest.raises(RuntimeError):
            store.call(fail)
        assert noted.read_bytes() == before
        assert mark.find_fault(path) is None
        store.call(devices.add, None, 0)
        assert noted.read_bytes() > before
    assert mark.find_fault(path) is None


async def test_what_the_writing_thread_commits_has_a_number(
    tmp_path: Path, blank_store: Path
) -> None:
    path = tmp_path / "cloud.sqlite"
    shutil.copy(blank_store, path)
    with closing(Database(path)) as store:
        store.mark = StoreMark(path)
        await store.write(devices.add, None, 0)
        assert mark.find_fault(path) is None
    assert log(path).with_name("cloud.sqlite-mark").exists()


def note(path: Path, number: int) -> None:
    with closing(StoreMark(path)) as made:
        made.keep(State(int(Path(f"{path}-mark").read_bytes()[:8], 16), number))


def test_after_the_last_number_comes_the_first(tmp_path: Path, blank_store: Path) -> None:
    path = tmp_path / "cloud.sqlite"
    shutil.copy(blank_store, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={NUMBERS - 1}")
    with closing(Database(path)) as store:
        store.mark = StoreMark(path)
        store.call(devices.add, None, 0)
        assert mark.find_fault(path) is None
        note(path, NUMBERS - 2)
        assert mark.find_fault(path) is None  # behind it, over the turn
        note(path, 7)
        assert mark.find_fault(path) is not None


def test_a_mark_that_cannot_be_written_hinders_nothing(tmp_path: Path, blank_store: Path) -> None:
    path = tmp_path / "cloud.sqlite"
    shutil.copy(blank_store, path)
    Path(f"{path}-mark").mkdir()
    with closing(Database(path)) as store:
        store.mark = StoreMark(path)
        store.call(devices.add, None, 0)
    assert mark.find_fault(path) is None


def test_a_commit_that_fails_takes_neither_the_stores_name_nor_a_number(
    tmp_path: Path, blank_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cloud.sqlite"
    shutil.copy(blank_store, path)

    def fail(self: StoreMark, session: Session) -> State | None:
        count(self, session)
        raise RuntimeError

    count = StoreMark.count
    with closing(Database(path)) as store:
        store.mark = StoreMark(path)
        with monkeypatch.context() as patch:
            patch.setattr(StoreMark, "count", fail)
            with pytest.raises(RuntimeError):
                store.call(devices.add, None, 0)
        store.call(devices.add, None, 0)
    with closing(sqlite3.connect(path)) as connection:
        (name,), (number,) = (
            connection.execute(f"PRAGMA {each}").fetchone()
            for each in ("application_id", "user_version")
        )
    assert Path(f"{path}-mark").read_bytes() == f"{name:08x} {number:08x}\n".encode()
    assert (name > 0, number) == (True, 1)


def test_a_transaction_of_a_new_connection_has_a_number(tmp_path: Path, blank_store: Path) -> None:
    path = tmp_path / "cloud.sqlite"
    shutil.copy(blank_store, path)
    kept = StoreMark(path)
    for number in (1, 2, 3):  # the last two: each changes as much as the one before
        with closing(Database(path)) as store:
            store.mark = kept
            store.call(devices.add, None, 0)
        assert Path(f"{path}-mark").read_bytes().endswith(f" {number:08x}\n".encode())
