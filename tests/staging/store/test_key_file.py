"""The file of the voice's keys under damage: what can be read stays, and nothing waits for a person."""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from pathlib import Path

import pytest

from staging.errors import StoreBusyError
from staging.store.key_file import FILE_NAME, KeyFile
from tests.base.recorded import RENAME, SYNC, Recorder

PAGE = 4096
ADD = "INSERT INTO keys (id, key) VALUES (?, ?)"
IDS = "SELECT id FROM keys ORDER BY id"
COUNT = 1200


def row(number: int) -> tuple[bytes, bytes]:
    return b"of%06d" % number, b"key %012d" % number


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of several pages, with a note."""
    made = KeyFile(tmp_path / FILE_NAME)
    made.change([row(number) for number in range(COUNT)], ADD)
    made.change([(row(3)[0], 7)], "INSERT INTO going (id, device_id) VALUES (?, ?)")
    made.close()
    return made.path


def numbers(file: KeyFile) -> list[int]:
    return [int(found[2:]) for (found,) in file.found(IDS)]


def test_a_page_that_is_damaged_costs_its_keys_and_no_other(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(row(600)[1]) // PAGE * PAGE
    lost = {number for number in range(COUNT) if row(number)[1] in data[at : at + PAGE]}
    assert 0 < len(lost) < COUNT / 2
    data[at] = 99  # no kind of page
    path.write_bytes(data)
    file = KeyFile(path)
    with pytest.raises(StoreBusyError, match=f"{path}: "):
        numbers(file)
    kept = set(numbers(file))
    # One on either side lies in the page above, and is met behind the damage from both ends.
    assert lost <= set(range(COUNT)) - kept <= lost | {min(lost) - 1, max(lost) + 1}
    assert file.found("SELECT id, device_id FROM going") == [(row(3)[0], 7)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"{path}: is damaged: " in caplog.text
    assert f"; {len(kept)} keys could be read and are kept, voice with another" in caplog.text
    assert sorted(each.name for each in path.parent.iterdir()) == [FILE_NAME]
    file.change([row(COUNT + 1)], ADD)
    assert len(numbers(KeyFile(path))) == len(kept) + 1


@pytest.mark.parametrize(
    "content", [b"no database" * 1000, b"SQLite format 3\0" + bytes(PAGE)],
    ids=["text", "a head alone"],
)  # fmt: skip
def test_what_is_no_such_file_any_more_gives_way_to_an_empty_one(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    file = KeyFile(path)
    with pytest.raises(StoreBusyError):
        file.change([row(1)], ADD)
    file.change([row(1)], ADD)
    assert numbers(KeyFile(path)) == [1]


def test_a_schema_with_other_words_gives_way_too(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"key BLOB NOT NULL", b"kez BLOB NOT NULL"))
    file = KeyFile(path)
    with pytest.raises(StoreBusyError):
        file.change([row(COUNT)], ADD)
    file.change([row(COUNT)], ADD)
    assert numbers(file) == [COUNT]


def test_another_process_goes_on_with_the_file_that_one_has_mended(path: Path) -> None:
    first, second = KeyFile(path), KeyFile(path)
    assert len(numbers(first)) == len(numbers(second)) == COUNT
    first.close()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreBusyError):
        numbers(first)
    second.change([row(5)], ADD)
    assert numbers(first) == numbers(second) == [5]


def test_nobody_waits_for_a_process_that_mends_it_and_hangs(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        before = path.stat().st_ino
        with pytest.raises(StoreBusyError):
            numbers(KeyFile(path))
        assert path.stat().st_ino == before
    with pytest.raises(StoreBusyError):
        numbers(KeyFile(path))
    assert numbers(KeyFile(path)) == []


def test_a_file_that_is_replaced_in_a_change_gets_the_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment after the commit, before anybody relies on it."""
    file, other = KeyFile(path), path.with_name("mended")
    KeyFile(other).change([row(1)], ADD)
    real = file._change

    def change(rows: list[tuple[bytes | int, ...]], statements: list[str]) -> None:
        real(rows, statements)
        if other.exists():
            other.replace(path)

    monkeypatch.setattr(file, "_change", change)
    file.change([row(COUNT)], ADD)
    assert numbers(file) == numbers(KeyFile(path)) == [1, COUNT]


def test_a_change_stays_over_a_power_cut(path: Path) -> None:
    """The end of SQLite's journal is its commit: of EXTRA (3) alone the folder is synced then (https://sqlite.org/pragma.html)."""
    file = KeyFile(path)
    assert file.found("PRAGMA journal_mode") == [("delete",)]
    assert file.found("PRAGMA synchronous") == [(3,)]


def test_a_mended_file_is_in_its_place_after_a_power_cut(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(row(600)[1]) // PAGE * PAGE] = 99
    path.write_bytes(data)
    recorder = Recorder(path.parent, monkeypatch)
    with pytest.raises(StoreBusyError):
        numbers(KeyFile(path))
    (renamed,) = (at for at, call in enumerate(recorder.calls) if call[0] == RENAME)
    assert recorder.calls[renamed][1:3] == (f".{FILE_NAME}.new", FILE_NAME)
    assert recorder.calls[renamed + 1] == (SYNC, ".", None)


def test_a_file_that_somebody_removes_is_begun_anew(path: Path) -> None:
    file = KeyFile(path)
    file.change([row(COUNT)], ADD)
    path.unlink()
    file.change([row(1)], ADD)
    assert numbers(KeyFile(path)) == [1]


def test_the_log_of_a_broken_change_is_not_put_into_the_new_file(path: Path) -> None:
    journal = path.with_name(f"{FILE_NAME}-journal")
    path.write_bytes(b"no database" * 1000)
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(2 * PAGE))
    file = KeyFile(path)
    with pytest.raises(StoreBusyError):
        numbers(file)
    assert not journal.exists()
    assert numbers(file) == []


def test_a_file_that_somebody_else_has_is_busy_and_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staging.store.key_file.BUSY_TIMEOUT_S", 0)
    before = path.stat().st_ino
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError, match="locked"):
            KeyFile(path).change([row(COUNT)], ADD)
    assert path.stat().st_ino == before
    assert len(numbers(KeyFile(path))) == COUNT


def test_many_changes_together_are_one_transaction(path: Path) -> None:
    file, other = KeyFile(path), KeyFile(path)
    with file.together():
        for number in (COUNT, COUNT + 1):
            file.change([row(number)], ADD)
        assert len(numbers(other)) == COUNT
    assert len(numbers(other)) == COUNT + 2


def test_changes_together_of_which_one_fails_are_none(path: Path) -> None:
    file, other = KeyFile(path), KeyFile(path)

    def work() -> None:
        with file.together():
            file.change([row(COUNT)], ADD)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert len(numbers(file)) == len(numbers(other)) == COUNT
