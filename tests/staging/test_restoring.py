"""Backups and their restoring under faults: killed at every step, on a full disk, with odd things in their places."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from staging import backup, restoring
from staging.data_dir import DataDir
from staging.errors import StagingError, StoreFaultError
from staging.gateway.reports import decide
from staging.opening import open_store
from staging.restoring import Wanted as Way
from staging.store import Database, copies, devices, effects, history
from staging.store.effects import Wanted
from staging.store.key_file import FILE_NAME
from staging.store.mark import StoreMark
from wire.voice import VoiceSegment

pytestmark = pytest.mark.one_database
OLD, NEW = "0083000000000a", "0083000000000b"
LAST = history.Query(limit=5)
# What changes a folder; a kill comes before one of these.
STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}


@pytest.fixture
def data(tmp_path: Path, blank_store: Path) -> DataDir:
    """A cloud of which there is a backup, ``saved.tar``, and in which something was done since."""
    made = DataDir(tmp_path / "cloud").create()
    shutil.copy(blank_store, made.database)
    made.ca.mkdir()
    (made.ca / "ca.key").write_text("old")
    with closing(open_store(made, made.database)) as store:
        store.mark = StoreMark(made.database)
        say(store, OLD)
        backup.make(made, made.database, tmp_path / "saved.tar", 0)
        say(store, NEW)
    (made.ca / "ca.key").write_text("new")
    return made


def say(store: Database, uuid: str) -> None:
    """Add a machine, at which a child says something."""
    number = store.call(devices.add, uuid, 0).id
    wanted = [Wanted(decide(uuid, {"duer_voice": voice_of(uuid)}))]
    store.call(effects.apply_all, number, None, wanted, 1000)


def voice_of(uuid: str) -> dict[str, Any]:
    sound = b"\x14\0\0\0" + uuid.encode() + bytes(20 - len(uuid))
    return VoiceSegment(10_001, 0, 8000, eof=True, voice_data=sound).to_json()


def uuids(data: DataDir, database: Path | None = None) -> set[str]:
    """Return which machines are there; what was said at each can be heard."""
    with closing(open_store(data, database or data.database)) as store:
        views = {view.device.id: view.device.uuid for view in store.call(devices.views)}
        said = {number: store.call(history.page, number, LAST).entries for number in views}
    for number, uuid in views.items():
        assert [entry.value for entry in said[number]] == [voice_of(uuid)], uuid
    return set(views.values())


def restore(data: DataDir, **wanted: Any) -> None:
    restoring.restore(data, data.database, data.root.parent / "saved.tar", Way("then", **wanted))


def killed(work: Callable[[], object]) -> Iterator[int]:
    """Do ``work`` in children, each of which is killed before one step more than the last, until one comes to the end."""
    for steps in range(100):
        child = os.fork()
        if not child:
            left = [steps]

            def look(event: str, _arguments: object, left: list[int] = left) -> None:
                left[0] -= event in STEPS
                if left[0] < 0:
                    os._exit(9)

            sys.addaudithook(look)
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.waitstatus_to_exitcode(status):
            return
        yield steps
    pytest.fail("it has no end")


def test_a_restoring_that_is_killed_leaves_the_old_one_or_says_to_repeat_it(
    data: DataDir, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    shutil.copytree(data.root, first)
    refused = 0
    for _ in killed(lambda: restore(data)):
        if data.restoring.exists():
            refused += 1
            check_repeated(data, tmp_path)
        else:
            open_store(data, data.database, looks=True).close()  # as the server's start does
            key = (data.ca / "ca.key").read_text()
            assert (uuids(data), key) in [({OLD, NEW}, "new"), ({OLD}, "old")]
        assert not data.unpacked.exists()
        assert not list(data.root.glob(".*.restored"))
        shutil.rmtree(data.root)
        shutil.copytree(first, data.root)
    assert refused > 2


def check_repeated(data: DataDir, folder: Path) -> None:
    with pytest.raises(StoreFaultError) as raised:
        open_store(data, data.database)
    assert f"repeat `story-cloud restore {folder / 'saved.tar'}`" in str(raised.value)
    # Nothing is lost: what was there is in its place yet, or put aside.
    stores = [data.database, *data.root.glob("replaced-*/cloud.sqlite")]
    assert any(each.exists() and uuids_of(each, folder) == {OLD, NEW} for each in stores)
    restore(data)
    assert uuids(data) == {OLD}
    assert (data.ca / "ca.key").read_text() == "old"


def uuids_of(store: Path, folder: Path) -> set[str]:
    elsewhere = DataDir(folder / "look").create()
    # What was put aside has its keys beside it; of a restoring that was killed in between one of them is there yet.
    keys = [store.with_name(FILE_NAME), folder / "cloud" / FILE_NAME]
    beside = [*store.parent.glob(f"{store.name}*"), next(each for each in keys if each.exists())]
    for each in beside:
        shutil.copy(each, elsewhere.root)
    found = uuids(elsewhere)
    shutil.rmtree(elsewhere.root)
    return found


def test_a_backup_that_is_killed_leaves_the_one_before(data: DataDir, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    before = file.read_bytes()
    kept = 0
    for _ in killed(lambda: backup.make(data, data.database, file, 0)):
        kept += file.read_bytes() == before
        if file.read_bytes() != before:  # killed as it tidied up
            restore(data)
            assert uuids(data) == {OLD, NEW}
    assert kept > 2
    backup.make(data, data.database, file, 0)
    assert not list(
        tmp_path.glob(".*")
    )  # what the killed ones left, with every device's token, is gone


def test_what_only_has_the_name_of_a_killed_backup_is_left(data: DataDir, tmp_path: Path) -> None:
    file, link = (tmp_path / f"{backup.BEGUN}{name}" for name in ("file", "link"))
    file.write_text("somebody else's")
    link.symlink_to(tmp_path / "elsewhere")
    backup.make(data, data.database, tmp_path / "saved.tar", 0)
    assert file.read_text() == "somebody else's"
    assert not (tmp_path / "elsewhere").exists()


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_restoring_without_room_changes_nothing(
    data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in (
        (shutil, "copyfile"), (restoring, "fsync_tree"), (restoring, "write_atomically"),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(place, name, full)
            with pytest.raises(StagingError, match="its disk is full"):
                restore(data)
        assert uuids(data) == {OLD, NEW}
        assert (data.ca / "ca.key").read_text() == "new"
        assert not data.unpacked.exists()
        assert not list(data.root.glob(".*.restored"))
        assert not list(data.root.glob("replaced-*"))


def test_the_disk_that_is_full_is_told(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "disk" / "cloud.sqlite"
    other.parent.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(StagingError, match=f"^{other}: its disk is full"):
            restoring.restore(data, other, tmp_path / "saved.tar", Way("then"))


def test_a_restoring_whose_disk_fails_in_between_says_to_repeat_it(
    data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_new_folder", "fsync_path"):
        with monkeypatch.context() as patch:
            patch.setattr(restoring, name, full)
            with pytest.raises(StagingError, match=r"was broken off \(No space left .* repeat it"):
                restore(data)
        with pytest.raises(StoreFaultError, match=r"repeat `story-cloud restore \S+saved\.tar`"):
            open_store(data, data.database)
    restore(data)
    assert uuids(data) == {OLD}
    assert (data.ca / "ca.key").read_text() == "old"


def test_a_store_behind_another_mount_of_the_same_disk(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container has its volumes: two folders of one disk, and no file can be renamed from one to the other."""
    (tmp_path / "mount").mkdir()
    store = tmp_path / "mount" / "cloud.sqlite"
    shutil.copy(data.database, store)
    rename = os.rename

    def within_a_mount(source: Any, target: Any) -> None:
        if (tmp_path / "mount" in Path(source).parents) != (
            tmp_path / "mount" in Path(target).parents
        ):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target)

    monkeypatch.setattr(os, "rename", within_a_mount)
    _, asides = restoring.restore(data, store, tmp_path / "saved.tar", Way("then"))
    assert asides == (tmp_path / "mount" / "replaced-then", data.root / "replaced-then")
    assert (asides[0] / "cloud.sqlite").exists()
    assert (asides[1] / FILE_NAME).exists()
    assert uuids(data, store) == {OLD}


def test_what_is_restored_has_its_voice_sealed_anew_and_what_was_there_keeps_its_keys(
    data: DataDir, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "saved.tar") as archive:
        store = archive.extractfile("store.sqlite")
        assert store is not None
        assert str(voice_of(OLD)["voice_data"]).encode() in store.read()
    keys = (data.root / FILE_NAME).read_bytes()
    restore(data)
    assert uuids(data) == {OLD}
    for path in data.root.rglob("*"):
        if path.is_file():
            assert str(voice_of(OLD)["voice_data"]).encode() not in path.read_bytes(), path
    (aside,) = data.root.glob("replaced-*")
    assert (aside / FILE_NAME).read_bytes() == keys
    assert uuids_of(aside / "cloud.sqlite", tmp_path) == {OLD, NEW}


def test_a_backup_without_voice_takes_no_keys_and_leaves_none(
    data: DataDir, tmp_path: Path, blank_store: Path
) -> None:
    other = DataDir(tmp_path / "other").create()
    shutil.copy(blank_store, other.database)
    backup.make(other, other.database, tmp_path / "other.tar", 0)
    way = Way("then", forgets=True)
    _, (aside,) = restoring.restore(data, data.database, tmp_path / "other.tar", way)
    assert not (data.root / FILE_NAME).exists()
    assert (aside / FILE_NAME).exists()
    assert uuids(data) == set()


def test_a_backup_without_room_leaves_the_one_before(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "saved.tar"
    before = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr("staging.taken_back.os.fsync", lambda _: None)
        patch.setattr(backup, "_write", full)
        with pytest.raises(StagingError, match=r"saved\.tar: its disk is full .* bytes are free"):
            backup.make(data, data.database, file, 0)
    assert file.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("put", "expected"),
    [
        (Path.mkdir, "is no file"),
        (os.mkfifo, "is no file"),
        (lambda _path: None, "is not there"),
        (lambda path: path.symlink_to("nowhere"), "is not there"),
    ],
)
def test_what_is_no_backup_is_refused_at_once(
    put: Callable[[Path], object], expected: str, data: DataDir, tmp_path: Path
) -> None:
    put(tmp_path / "odd")
    with pytest.raises(StagingError, match=expected):
        restoring.restore(data, data.database, tmp_path / "odd", Way("then"))
    assert uuids(data) == {OLD, NEW}


@pytest.mark.parametrize(
    ("put", "expected"),
    [(Path.mkdir, "is no file"), (os.mkfifo, "is no file"), (lambda _path: None, "")],
)
def test_where_no_backup_can_be_made(
    put: Callable[[Path], object], expected: str, data: DataDir, tmp_path: Path
) -> None:
    put(tmp_path / "odd")
    place = tmp_path / "odd" if expected else tmp_path / "no folder" / "a.tar"
    with pytest.raises(StagingError, match=expected or "is no folder"):
        backup.make(data, data.database, place, 0)
    assert not list(tmp_path.glob(".*"))


def test_a_backup_by_a_link_goes_where_that_leads(data: DataDir, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.tar").symlink_to(tmp_path / "disk" / "real.tar")
    backup.make(data, data.database, tmp_path / "link.tar", 0)
    assert (tmp_path / "link.tar").is_symlink()
    assert (tmp_path / "disk" / "real.tar").is_file()


def test_a_store_that_is_linked_is_restored_where_it_is(data: DataDir, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for each in data.root.glob("cloud.sqlite*"):
        shutil.move(each, tmp_path / "disk")
    data.database.symlink_to(tmp_path / "disk" / "cloud.sqlite")
    assert uuids(data) == {OLD, NEW}
    restore(data)
    assert data.database.is_symlink()
    assert uuids(data) == {OLD}


def test_a_second_restoring_in_the_same_second_keeps_both(data: DataDir) -> None:
    restore(data)
    with closing(open_store(data, data.database)) as store:
        store.call(devices.add, None, 0)
    restore(data)
    asides = sorted(data.root.glob("replaced-*"))
    assert [each.name for each in asides] == ["replaced-then", "replaced-then-2"]
    assert all(
        (each / "cloud.sqlite").exists() and (each / "ca" / "ca.key").exists() for each in asides
    )


def test_what_harms_a_store_is_mended_by_a_restoring(data: DataDir) -> None:
    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    def loop(path: Path) -> None:
        path.unlink()
        path.symlink_to("/nowhere/cloud.sqlite")

    for harm in (folder, loop, Path.unlink, lambda path: path.write_bytes(b"text")):
        harm(data.database)
        with pytest.raises(StoreFaultError, match="story-cloud restore FILE"):
            open_store(data, data.database)
        if data.database.is_symlink():
            data.database.unlink()  # as it says
        restore(data)
        assert uuids(data) == {OLD}


def test_a_backup_of_an_odd_path(data: DataDir, tmp_path: Path) -> None:
    odd = DataDir(tmp_path / "a?b#c%41 库")
    shutil.copytree(data.root, odd.root)
    backup.make(odd, odd.database, tmp_path / "odd.tar", 0)
    assert uuids(odd) == {OLD, NEW}
    assert copies.check(tmp_path / "cloud" / "cloud.sqlite")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_backup_is_restored_and_a_damaged_one_refused(
    pack: Callable[[bytes], bytes], data: DataDir, tmp_path: Path
) -> None:
    """Somebody packs what he keeps for years, and the medium loses some of it."""
    file = tmp_path / "saved.tar"
    packed = bytearray(pack(file.read_bytes()))
    damaged = packed.copy()
    damaged[len(damaged) // 2] ^= 0xFF
    for content in (damaged, packed[: len(packed) // 2]):
        file.write_bytes(content)
        with pytest.raises(StagingError, match=r"saved\.tar: no"):
            restore(data)
        assert uuids(data) == {OLD, NEW}
        assert not data.unpacked.exists()
    file.write_bytes(packed)
    restore(data)
    assert uuids(data) == {OLD}
