"""What the simulation does with the files of a cloud that are damaged, and what it finds wrong with them."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ota.errors import FetchError
from staging.releases.stock import Stock
from staging.store import Database
from tools.sim.calls import Calls, Mount, lay_out
from tools.sim.cloud_files import CloudFiles, at_a_head
from tools.sim.disk import Left

DATA = b"a package"
NAME = f"story-machine/{hashlib.sha256(DATA).hexdigest()}.1.1.0.tar.gz"
PACKAGE, METADATA = f"targets/{NAME}", "metadata/timestamp.json"


def left() -> Left:
    files = {
        "/cloud.sqlite": b"store",
        "/cloud.sqlite-wal": b"log",
        f"/tuf/{PACKAGE}": DATA,
        f"/tuf/{METADATA}": b"{}",
        "/clock.json": b"{}",
    }
    return Left(files, [], {}, dict.fromkeys(files, 0o600))


def spoilt(chance: float) -> tuple[CloudFiles, Left]:
    made, found = CloudFiles(lambda _line: None), left()
    made.wanted = chance
    made.spoil(found)
    return made, found


def test_one_bit_of_one_file_is_another_one_and_every_second_time_of_the_store() -> None:
    hit: Counter[str] = Counter()
    for step in range(64):
        made, found = spoilt(step / 64)
        before = left().files
        assert [path for path in before if found.files[path] != before[path]] == [made.path]
        hit[made.path] += 1
        made.restore(found)
        assert found.files["/cloud.sqlite"] == b"store"
        assert found.files["/cloud.sqlite-wal"] == b"log"
        assert (made.path, len(made.damaged)) == ("", 1)
    assert hit["/cloud.sqlite"] + hit["/cloud.sqlite-wal"] == 32
    assert set(hit) == set(left().files)


def of_package(tmp_path: Path, data: bytes) -> CloudFiles:
    """Return the files of a cloud whose package is damaged in the record, and has ``data`` on the disk."""
    made, found = spoilt(0.6)
    assert made.path == f"/tuf/{PACKAGE}"
    file = tmp_path / "tuf" / PACKAGE
    file.parent.mkdir(parents=True)
    file.write_bytes(found.files[made.path] if data != DATA else DATA)
    made.stock = Stock(tmp_path / "tuf" / "targets")
    return made


def test_a_damaged_package_is_not_served_until_it_is_put_back(tmp_path: Path) -> None:
    made = of_package(tmp_path, b"another")
    assert made.serve(PACKAGE, DATA) is None
    assert made.serve(METADATA, b"{}") == b"{}"
    made.write_back(tmp_path)
    assert made.serve(PACKAGE, DATA) == DATA
    assert made.broken == []
    made.stock = None
    with pytest.raises(FetchError):
        made.serve(PACKAGE, DATA)


def test_a_damaged_package_that_is_served_is_told(tmp_path: Path) -> None:
    made = of_package(tmp_path, DATA)  # as if nobody had looked
    assert made.serve(PACKAGE, DATA) != DATA
    assert made.broken == [f"{PACKAGE} is served, and is not the signed one"]


def test_damaged_metadata_is_served_as_it_is_and_a_machine_finds_it() -> None:
    made, found = spoilt(0.99)
    assert made.path == f"/tuf/{METADATA}"
    assert made.serve(METADATA, b"{}") == found.files[made.path] != b"{}"


@pytest.mark.parametrize(("number", "is_broken"), [(7, False), (8, False), (6, True)])
def test_a_store_that_lacks_what_its_mark_says_is_told(
    tmp_path: Path,
    number: int,
    is_broken: bool,  # noqa: FBT001
) -> None:
    made, found = CloudFiles(lambda _line: None), left()
    found.files["/cloud.sqlite-mark"] = b"0000002a 00000007\n"
    made.wanted = 0.45
    made.spoil(found)
    assert made.path == "/cloud.sqlite-wal"
    database = Database(tmp_path / "cloud.sqlite")

    def give(session: Any) -> None:
        session.connection().connection.driver_connection.execute(f"PRAGMA user_version={number}")

    database.call(give)
    made.look(database)
    database.close()
    assert bool(made.broken) is is_broken


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_store_that_is_opened_with_damaged_pages_is_told(
    tmp_path: Path,
    is_broken: bool,  # noqa: FBT001
) -> None:
    made, path = CloudFiles(lambda _line: None), tmp_path / "cloud.sqlite"
    Database(path).close()
    if is_broken:
        data = bytearray(path.read_bytes())
        data[-4096] ^= 0x40
        path.write_bytes(data)
    made.path = "/cloud.sqlite"
    database = Database(path)
    made.look(database)
    database.close()
    assert len(made.broken) == is_broken
    assert all(told.startswith("a store was opened that is damaged: ") for told in made.broken)


@pytest.mark.parametrize(
    ("path", "at", "size", "aimed"),
    [
        ("/cloud.sqlite", 4095, 8192, 0),
        ("/cloud.sqlite", 8000, 8192, 4096),
        ("/cloud.sqlite-wal", 0, 32 + 4120, 56),
        ("/cloud.sqlite-wal", 9, 32 + 20 * 4120, 32 + 18 * 4120 + 24),
        ("/cloud.sqlite-wal", 15, 32 + 20 * 4120, 32 + 12 * 4120 + 24),
    ],
)
def test_a_bit_is_aimed_at_what_says_what_a_page_is(
    path: str, at: int, size: int, aimed: int
) -> None:
    assert at_a_head(path, at, size) == aimed


def running(tmp_path: Path) -> tuple[CloudFiles, Mount, dict[str, bytes]]:
    """Return the files of a cloud that runs, its disk, and what is there."""
    made, found = CloudFiles(lambda _line: None), left()
    for path in [path for path in found.files if path.startswith("/tuf/")]:
        del found.files[path]
    calls = Calls()
    root = tmp_path / "cloud"
    root.mkdir()
    calls.mounts.append(Mount(str(root)))
    mount = lay_out(calls, calls.mounts[0], found)
    made.stock = Stock(tmp_path)
    return made, mount, dict(found.files)


@pytest.mark.parametrize(("chance", "name"), [(0.1, "/cloud.sqlite"), (0.9, "/cloud.sqlite-wal")])
def test_a_bit_of_the_store_is_another_one_as_it_runs_and_all_of_it_is_put_back(
    tmp_path: Path, chance: float, name: str
) -> None:
    made, mount, before = running(tmp_path)
    made.rot_store(mount, chance)
    assert (made.path, made.damaged, made.is_store) == (name, {name}, True)
    now = {path: Path(mount.root + path).read_bytes() for path in before}
    assert [path for path in before if now[path] != before[path]] == [name]
    made.rot_store(mount, 0.5)  # one is damaged
    assert made.damaged == {name}
    found = Left({**now, "/cloud.sqlite-mark": b"x"}, [], {}, dict.fromkeys(now, 0o600))
    made.restore(found)
    assert found.files == before


def test_a_cloud_without_room_says_what_to_do() -> None:
    made = CloudFiles(lambda _line: None)
    made.refuse_for_room("cloud.sqlite: disk I/O error: free space on the disk and start again")
    assert made.broken == []
    made.refuse_for_room("cloud.sqlite: disk I/O error")
    assert made.broken == [
        "a cloud on a full disk does not start, and says: cloud.sqlite: disk I/O error"
    ]
