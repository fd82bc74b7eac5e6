"""Damage of every kind: what is readable is saved, nothing is invented, every loss is told, once.

Tests agent.link.outbox_rows, agent.link.outbox_salvage and agent.link.sqlite_pages on real files.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.link.outbox_salvage import read_rows
from agent.link.outbox_store import Report, Store
from agent.link.sqlite_pages import is_log_whole, salvage
from wire.reports import KEY_TROUBLE

COUNT, UPDATES_EVERY = 240, 24
PAGE = 4096
NAME = "outbox.sqlite"
Damage = Callable[[Path], object]


def opened(folder: Path) -> Store:
    store = Store(folder / NAME, 10**7, time.time, time.monotonic)
    store.open()
    return store


def fill(folder: Path) -> Store:
    store = opened(folder)
    for number in range(COUNT):
        if number % UPDATES_EVERY == 0:
            store.put("ota_event", {"event": number}, once=f"77:{number}")
        else:
            store.put("volume", number)
    return store


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """Make a folder in memory, if there is such a file system: hundreds of files are synced here."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with in_memory() as folder:
        yield folder


@pytest.fixture(scope="module")
def closed() -> Iterator[Path]:
    """Make a folder with an outbox that was closed: one file."""
    with in_memory() as folder:
        fill(folder).close()
        yield folder


@pytest.fixture(scope="module")
def killed() -> Iterator[Path]:
    """Make a folder with an outbox as kill -9 leaves it: much of it is in the log."""
    with in_memory() as folder:
        (folder / "live").mkdir()
        store = fill(folder / "live")
        shutil.copytree(folder / "live", folder / "killed")
        store.close()
        yield folder / "killed"


def drained(store: Store) -> list[Report]:
    """Take all reports; one more must have a place behind them."""
    store.put("volume", "last")
    taken: list[Report] = []
    while found := store.take(64, in_order=True):
        store.finish(found, at_once=False)
        taken += found
    assert store.waiting == 0
    store.close()
    return taken


def after(tree: Path, folder: Path, damage: Damage) -> tuple[list[object], list[Report]]:
    """Return the reports that are left after ``damage``, and what is told of losses."""
    state = folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(tree, state, symlinks=True)
    damage(state / NAME)
    taken = drained(opened(state))
    told = [report for report in taken if report.key == KEY_TROUBLE]
    values = [next(iter(r.data.values())) for r in taken if r.key != KEY_TROUBLE]
    assert values.pop() == "last"
    return values, told


def original() -> list[object]:
    return [n if n % UPDATES_EVERY else {"event": n} for n in range(COUNT)]


def expect(values: list[object], told: list[Report], least: int) -> None:
    """Check what was saved: at least so many, in order, nothing invented, and any loss told once."""
    places = [original().index(value) for value in values]
    assert places == sorted(set(places))
    assert len(values) >= least
    assert len(told) == (1 if len(values) < COUNT else len(told))
    assert len(told) <= 1


def change(name: str, place: int, data: bytes) -> Damage:
    def damage(path: Path) -> None:
        with path.with_name(NAME + name).open("r+b") as file:
            file.seek(place)
            file.write(data)

    return damage


def flip(name: str, place: int, bit: int) -> Damage:
    def damage(path: Path) -> None:
        old = path.with_name(NAME + name).read_bytes()[place]
        change(name, place, bytes([old ^ 1 << bit]))(path)

    return damage


def rows_of_a_page() -> int:
    return PAGE // 50


def test_any_page_may_be_zeros_or_noise(closed: Path, tmp_path: Path) -> None:
    chance = random.Random(1)
    for page in range((closed / NAME).stat().st_size // PAGE):
        noise = bytes(PAGE) if page % 2 else chance.randbytes(PAGE)
        values, told = after(closed, tmp_path, change("", page * PAGE, noise))
        expect(values, told, COUNT - rows_of_a_page())


def test_any_bit_may_flip(closed: Path, tmp_path: Path) -> None:
    chance = random.Random(2)
    size = (closed / NAME).stat().st_size
    places = [*range(0, 100, 7), *(chance.randrange(size) for _ in range(24))]
    for place in places:
        values, told = after(closed, tmp_path, flip("", place, chance.randrange(8)))
        expect(values, told, COUNT - rows_of_a_page())


def test_any_bit_of_the_log_may_flip_and_only_its_last_report_may_go_unseen(
    killed: Path, tmp_path: Path
) -> None:
    chance = random.Random(3)
    log = (killed / f"{NAME}-wal").read_bytes()
    places = [0, 9, 13, 17, 25, 33, 41, 49, *(chance.randrange(len(log)) for _ in range(24))]
    for place in places:
        values, told = after(killed, tmp_path, flip("-wal", place, chance.randrange(8)))
        if len(values) < COUNT - 1:
            expect(values, told, COUNT - rows_of_a_page())


def test_a_cut_file_keeps_what_is_before_the_cut(closed: Path, tmp_path: Path) -> None:
    size = (closed / NAME).stat().st_size
    for length in range(0, size, size // 12):
        values, told = after(closed, tmp_path, lambda path, n=length: os.truncate(path, n))  # type: ignore[misc]
        expect(values, told, 0)
        assert len(told) == 1


def replaced_by(make: Damage) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "x").write_text("x")


def make_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE report (name TEXT); INSERT INTO report VALUES ('x')")
    db.close()


STRANGERS: dict[str, Damage] = {
    "an empty file": Path.touch,
    "text": lambda path: path.write_text("no database\n" * 900),
    "a folder": make_folder,
    "a link to nothing": lambda path: path.symlink_to("/nowhere/outbox"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/null"),
    "another database": make_database,
}


@pytest.mark.parametrize("make", STRANGERS.values(), ids=STRANGERS.keys())
def test_what_is_no_outbox_is_set_aside_and_told(
    make: Damage, closed: Path, tmp_path: Path
) -> None:
    values, told = after(closed, tmp_path, replaced_by(make))
    assert (values, len(told)) == ([], 1)
    assert (tmp_path / "state" / NAME).stat().st_size > 0
    _values, again = after(tmp_path / "state", tmp_path / "again", lambda _path: None)
    assert not again  # it is told once


def test_a_missing_file_beside_its_log_is_saved_from_the_log(killed: Path, tmp_path: Path) -> None:
    values, told = after(killed, tmp_path, Path.unlink)
    expect(values, told, 10)


def test_a_missing_or_damaged_index_of_the_log_costs_nothing(killed: Path, tmp_path: Path) -> None:
    shm = f"{NAME}-shm"
    for damage in (
        lambda path: path.with_name(shm).unlink(),
        lambda path: path.with_name(shm).write_bytes(b"\xa5" * 40_000),
    ):
        values, told = after(killed, tmp_path, damage)
        assert (values, told) == (original(), [])


WRONG_ROWS: dict[str, tuple[str, object]] = {
    "half a JSON": ("body", "{half"),
    "a list": ("body", "[1]"),
    "a number": ("body", 7),
    "no text": ("body", b"\xff\xfe"),
    "another key": ("key", "valume"),
    "a key that is no text": ("key", b"\xff"),
    "another value": ("body", '{"volume": 8}'),
    "an endless row": ("body", '{"volume": "' + "x" * 300_000 + '"}'),
    "a deep row": ("body", '{"volume": ' + "[" * 9000 + "]" * 9000 + "}"),
    "a size that is text": ("size", "many"),
    "another number": ("number", 999),
    "another time": ("time", -5),
}


@pytest.mark.parametrize(("column", "value"), WRONG_ROWS.values(), ids=WRONG_ROWS.keys())
def test_a_row_that_the_card_changed_is_set_aside_and_the_others_go_on(
    column: str, value: object, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(tmp_path)
    for level in range(4):
        store.put("volume", level)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute(f"UPDATE report SET {column} = ? WHERE id = 2", (value,))  # a table
    db.close()
    taken = drained(store)
    assert [r.data.get("volume") for r in taken if r.key == "volume"] == [0, 2, 3, "last"]
    assert store.status()["damaged"] == 1
    assert caplog.text.count("is set aside") == 1
    again = opened(tmp_path)
    told = [report.data for report in again.take(9, in_order=True)]
    assert [list(data) for data in told] == [[KEY_TROUBLE]]
    again.close()
    with sqlite3.connect(tmp_path / NAME) as db:
        assert db.execute("SELECT count(*) FROM aside").fetchone() == (1,)
    db.close()


def test_damage_while_running_is_repaired_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = fill(tmp_path)
    store.tend()
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    page = (tmp_path / NAME).read_bytes().rindex(b'"volume"') // PAGE
    change("", page * PAGE, bytes(PAGE))(tmp_path / NAME)
    file = store._disk._file
    assert file
    file._db.executescript("PRAGMA cache_size = 1; PRAGMA shrink_memory")
    taken = drained(store)
    values = [r.data.get("volume") for r in taken if r.key == "volume"]
    assert len(values) > COUNT - COUNT // UPDATES_EVERY - rows_of_a_page()
    assert caplog.text.count("outbox damaged") == 1
    assert (tmp_path / f"{NAME}.bad").exists()


@pytest.mark.parametrize("make", [None, make_folder, make_database])
def test_a_file_that_is_taken_away_while_running_is_written_again(
    make: Callable[[Path], None] | None, tmp_path: Path
) -> None:
    store = fill(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    if make:
        make(tmp_path / NAME)
    store.put("play", "new")
    store.close()
    values = [r.data for r in drained(opened(tmp_path))]
    assert len(values) == COUNT + 2


def test_what_was_deleted_does_not_come_back_with_what_is_saved(tmp_path: Path) -> None:
    """SQLite frees whole pages, and leaves in them what they held."""
    store = fill(tmp_path)
    store.finish(store.take(COUNT - 20, in_order=True), at_once=True)
    store.close()
    page = (tmp_path / NAME).read_bytes().rindex(b"77:") // PAGE
    change("", page * PAGE, bytes(PAGE))(tmp_path / NAME)
    values = [r.data for r in drained(opened(tmp_path)) if r.key == "volume"]
    assert len(values) == 21  # what waited and one more, and nothing of what was delivered
    assert (tmp_path / f"{NAME}.bad").exists()


@pytest.mark.parametrize("frames", [2, 3])
def test_what_a_torn_last_transaction_covers_is_saved(tmp_path: Path, frames: int) -> None:
    """Its pages hold older reports too; a commit may be on the card without the page before it."""
    store = opened(tmp_path)
    for number in range(6):
        store.put("ota_event", {"event": number}, once=f"77:{number}")
    (tmp_path / "cut").mkdir()
    for name in (NAME, f"{NAME}-wal"):
        shutil.copy(tmp_path / name, tmp_path / "cut" / name)
    store.close()
    log = tmp_path / "cut" / f"{NAME}-wal"
    frame = 24 + PAGE
    with log.open("r+b") as file:
        file.seek(log.stat().st_size - frames * frame + 24)
        file.write(bytes(PAGE))
    store = opened(tmp_path / "cut")
    assert not store.put("ota_event", {"event": 4}, once="77:4")
    found = [r.data["ota_event"] for r in drained(store) if r.key == "ota_event"]
    assert found[:5] == [{"event": number} for number in range(5)]


def test_once_is_once_also_after_damage(closed: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(closed, state)
    change("", 0, bytes(PAGE))(state / NAME)  # the page that names the tables
    store = opened(state)
    assert not store.put("ota_event", {"event": 0}, once="77:0")
    store.close()


def test_after_damage_no_id_is_given_twice(tmp_path: Path) -> None:
    """A delivered report that was not deleted yet must not hide a new one."""
    store = opened(tmp_path)
    for level in range(5):
        store.put("volume", level)
    store.finish(store.take(5, in_order=True), at_once=False)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    for page in range(1, (tmp_path / NAME).stat().st_size // PAGE):
        change("", page * PAGE, b"\xa5" * PAGE)(tmp_path / NAME)
    store.put("volume", "new")
    assert "new" in [r.data.get("volume") for r in drained(store)]


def test_an_outbox_of_the_version_before_is_read_and_its_rows_get_numbers(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / NAME) as db:
        db.executescript("""
            CREATE TABLE report (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL,
                body TEXT NOT NULL, size INTEGER NOT NULL);
            CREATE TABLE once (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
            INSERT INTO report (key, body, size) VALUES ('volume', '{"volume": 3}', 13);
            INSERT INTO once (name) VALUES ('77:final');
        """)
    db.close()
    store = opened(tmp_path)
    (report,) = store.take(9, in_order=True)
    assert (report.data, report.row.number) == ({"volume": 3}, 1)
    assert not store.put("ota_event", {}, once="77:final")
    store.close()
    with sqlite3.connect(tmp_path / NAME) as db:  # as the version before writes
        db.execute(
            """INSERT INTO report (key, body, size) VALUES ('volume', '{"volume": 4}', 13)"""
        )
    db.close()
    assert [r.data.get("volume") for r in drained(opened(tmp_path))] == [3, 4, "last"]


def test_random_bytes_never_raise() -> None:
    chance = random.Random(4)
    for _ in range(200):
        data = b"SQLite format 3\0" + chance.randbytes(chance.randrange(3 * PAGE))
        assert salvage(data, chance.randbytes(chance.randrange(9000))).damaged >= 0
        is_log_whole(data)


def resummed(log: bytes, sign: str) -> bytes:
    """Return a log with its checksums as sqlite.org/fileformat2 has them, word after word, in one order of bytes."""
    made, size = bytearray(log), struct.unpack_from(">I", log, 8)[0]
    made[3] = 0x83 if sign == ">" else 0x82
    first = second = 0

    def add(part: bytes | bytearray) -> bytes:
        nonlocal first, second
        words = struct.unpack(f"{sign}{len(part) // 4}I", part)
        for one, other in zip(words[::2], words[1::2], strict=True):
            first = (first + one + second) % 2**32
            second = (second + other + first) % 2**32
        return struct.pack(">II", first, second)

    made[24:32] = add(made[:24])
    for at in range(32, len(made), 24 + size):
        made[at + 16 : at + 24] = add(made[at : at + 8] + made[at + 24 : at + 24 + size])
    return bytes(made)


@pytest.mark.parametrize("sign", ["<", ">"])
def test_a_log_is_whole_by_the_sums_of_either_order_and_any_damaged_word_is_seen(
    killed: Path, sign: str
) -> None:
    real, frame = (killed / f"{NAME}-wal").read_bytes(), 24 + 4096
    ours = [at for at in range(32, len(real), frame) if real[at + 8 : at + 16] == real[16:24]]
    real = real[: ours[-1] + frame]  # behind them are those of before the log began anew
    log = resummed(real, sign)
    assert real in {resummed(real, "<"), resummed(real, ">")}
    assert is_log_whole(log)
    assert len(log) > 32 + 3 * frame
    for place in (*range(0, 32, 4), *range(32, 56, 4), 32 + 24, 32 + frame + 2048, 32 + frame - 1):
        assert not is_log_whole(flipped(log, place)), place
    # A frame that is no commit and the last one: nothing was acknowledged of it, so nothing is lost with it.
    assert is_log_whole(flipped(log, len(log) - 1))


def flipped(log: bytes, place: int) -> bytes:
    return log[:place] + bytes([log[place] ^ 1]) + log[place + 1 :]


def test_rows_of_a_whole_file_are_all_read(closed: Path) -> None:
    found = read_rows(closed / NAME)
    assert [next(iter(row.data.values())) for row in found.rows.values()] == original()
    assert (found.damaged, found.unseen, found.last_id) == (0, 0, COUNT)
    assert len(found.once) == COUNT // UPDATES_EVERY


def test_a_power_cut_before_the_new_file_takes_the_place_changes_nothing(
    closed: Path, killed: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    shutil.copytree(killed, state)
    shutil.copy(closed / NAME, state / f"{NAME}.new")  # complete, and the old one is still there
    shutil.copy(closed / NAME, state / f"{NAME}.part")  # of an earlier try, perhaps half
    values = [next(iter(r.data.values())) for r in drained(opened(state))]
    assert values == [*original(), "last"]
    assert (state / f"{NAME}.bad").exists()
    assert not (state / f"{NAME}.new").exists()
