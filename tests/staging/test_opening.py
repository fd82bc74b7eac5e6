"""A store that was there and is not as it was: refused, with what to do; and its backup.

Tests staging.store.copies too.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from staging import backup, restoring
from staging.data_dir import DataDir, Endpoints, locked, write_endpoints
from staging.errors import StagingError, StoreFaultError
from staging.opening import open_store
from staging.restoring import Wanted
from staging.store import Database, copies, devices, soundness
from staging.store.models import Batch

UUID = "0083000000000a"


@pytest.fixture
def data(tmp_path: Path, blank_store: Path) -> DataDir:
    made = DataDir(tmp_path / "cloud").create()
    shutil.copy(blank_store, made.database)
    with closing(open_store(made, made.database)) as store:
        store.call(devices.add, UUID, 0)
    (made.root / "ca").mkdir()
    (made.root / "ca" / "ca.crt").write_text("the CA")
    return made


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    page = int.from_bytes(content[16:18], "big")
    for at in range(page, len(content), page):
        content[at : at + 64] = b"\x77" * 64
    path.write_bytes(bytes(content))


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (empty, "is empty"),
        (Path.unlink, "is missing"),
        (cut, "is cut"),
        (cut_short, "is no SQLite file"),
        (scribble, "is damaged"),
    ],
)
def test_what_is_not_as_it_was_is_refused(data: DataDir, harm: Any, fault: str) -> None:
    harm(data.database)
    with pytest.raises(StagingError) as raised:
        open_store(data, data.database, looks=True)
    assert fault in str(raised.value)
    assert "story-cloud restore FILE" in str(raised.value)
    assert (
        not data.database.exists() or data.database.read_bytes()[:4] != b"" or fault == "is empty"
    )


@pytest.mark.one_database
def test_a_folder_of_before_the_mark(data: DataDir) -> None:
    data.made.unlink()
    write_endpoints(data, Endpoints("http://127.0.0.1:1", "127.0.0.1", 1))
    empty(data.database)
    with pytest.raises(StagingError, match=r"is empty, and .* had a store"):
        open_store(data, data.database)


@pytest.mark.one_database
def test_a_new_folder_and_another_store_in_it(tmp_path: Path, data: DataDir) -> None:
    new = DataDir(tmp_path / "new").create()
    open_store(new, new.database).close()
    other = f"sqlite:///{tmp_path / 'other.sqlite'}"
    open_store(data, other).close()
    (tmp_path / "other.sqlite").unlink()
    with pytest.raises(StagingError, match=r"other\.sqlite: is missing"):
        open_store(data, other)
    open_store(data, data.database).close()


@pytest.mark.one_database("postgresql")
def test_a_restoring_into_a_postgresql_is_ended_by_the_same_call(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = DataDir(tmp_path / "old").create(), DataDir(tmp_path / "new").create()
    with closing(open_store(old, old.database)) as store:
        store.call(devices.add, UUID, 0)
    (old.root / "ca").mkdir()
    (old.root / "ca" / "ca.key").write_text("the key")
    file = tmp_path / "saved.tar"
    backup.make(old, old.database, file, 0)
    wanted = Wanted("then", forgets=True)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_put_aside", fail)  # its rows are there, its CA is not
        with pytest.raises(StagingError, match="was broken off"):
            restoring.restore(new, where, file, wanted)
    with pytest.raises(StoreFaultError, match=r"repeat `story-cloud restore \S+saved\.tar`"):
        open_store(new, where)
    restoring.restore(new, where, file, wanted)
    assert (new.root / "ca" / "ca.key").read_text() == "the key"
    with closing(open_store(new, where)) as store:
        assert [view.device.uuid for view in store.call(devices.views)] == [UUID]
    with pytest.raises(StagingError, match=r"has rows in .*; --replace"):
        restoring.restore(new, where, file, wanted)
    open_store(new, where).close()  # nothing was changed


@pytest.mark.one_database
def test_a_store_begun_anew_has_nothing_of_the_one_before(data: DataDir) -> None:
    for harm in (Path.unlink, empty):
        with closing(open_store(data, data.database, looks=True)) as store:
            for _ in range(3):
                store.call(devices.add, None, 0)
        harm(data.database)
        with pytest.raises(
            StagingError, match=r"begin with an empty store, remove \S+\.store-made"
        ):
            open_store(data, data.database)
        data.made.unlink()  # as it says
        with closing(
            open_store(data, data.database)
        ) as store:  # a command's, which numbers nothing
            store.call(devices.add, None, 0)
        with closing(open_store(data, data.database, looks=True)) as store:
            assert len(store.call(devices.views)) == 1


@pytest.mark.one_database
def test_a_log_holds_what_the_file_lacks(data: DataDir, tmp_path: Path) -> None:
    """A file that is shorter than it says is whole where its log has the rest."""
    copy = tmp_path / "copy.sqlite"
    with closing(Database(data.database)) as store:
        store.call(devices.make, store.call(_first_batch), 500, 1, 0)
        for end in ("", "-wal", "-shm"):
            shutil.copy(f"{data.database}{end}", f"{copy}{end}")
    assert soundness.header_fault(copy) is None
    assert soundness.damage(copy) == []


def _first_batch(session: Any) -> Any:
    return devices.get(session, UUID) and session.query(Batch).first()


def test_a_backup_brings_everything_back(where: Path | str, tmp_path: Path) -> None:
    data = DataDir(tmp_path / "cloud").create()
    with closing(open_store(data, where)) as store:
        store.call(devices.add, UUID, 5)
    (data.root / "ca").mkdir()
    (data.root / "ca" / "ca.key").write_text("the key")
    file = tmp_path / "saved.tar"
    made = backup.make(data, where, file, 0)
    assert made.files == ("ca",)
    assert file.stat().st_mode & 0o777 == 0o600
    with closing(open_store(data, where)) as store:
        store.call(devices.add, None, 0)
    (data.root / "ca" / "ca.key").write_text("another key")
    _, (aside,) = restoring.restore(data, where, file, Wanted("then", replace=True))
    assert (data.root / "ca" / "ca.key").read_text() == "the key"
    assert (aside / "ca" / "ca.key").read_text() == "another key"
    with closing(open_store(data, where, looks=True)) as store:
        assert [view.device.uuid for view in store.call(devices.views)] == [UUID]
        store.call(devices.add, None, 0)  # numbers go on after those that were restored
        assert len(store.call(devices.views)) == 2
    assert not list(data.root.glob(".restoring*"))


@pytest.mark.one_database("postgresql")  # a file's old store is kept beside the new one
def test_rows_of_a_postgresql_are_kept_unless_told(
    where: Path | str, tmp_path: Path, data: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Database(where)) as store:
        store.call(devices.add, None, 0)
    file = tmp_path / "saved.tar"
    backup.make(data, data.database, file, 0)
    other = DataDir(tmp_path / "other")
    with pytest.raises(StagingError, match="--replace"):
        restoring.restore(other, where, file, Wanted("then", forgets=True))
    assert not other.restoring.exists()  # nothing was changed
    # The lock of this data folder says nothing of a cloud that has another one.
    with closing(Database(where)) as store, monkeypatch.context() as quick:
        quick.setattr(copies, "GONE_SECONDS", 0.0)
        store.call(devices.views)
        with pytest.raises(StagingError, match="a story-cloud runs on it: stop it first"):
            restoring.restore(other, where, file, Wanted("then", replace=True, forgets=True))
    restoring.restore(other, where, file, Wanted("then", replace=True, forgets=True))
    with closing(Database(where)) as store:
        assert [view.device.uuid for view in store.call(devices.views)] == [UUID]


@pytest.mark.one_database
def test_a_running_server_and_damaged_backups_are_refused(data: DataDir, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    backup.make(data, data.database, file, 0)
    before = data.database.read_bytes()
    with (
        locked(data.root / ".serve.lock", "", timeout=0),
        pytest.raises(StagingError, match="serve runs on it: stop it first"),
    ):
        restoring.restore(data, data.database, file, Wanted("x"))
    whole = file.read_bytes()
    at = whole.index(b"SQLite format 3")
    for damaged in (
        b"",
        b"no tar",
        whole[: len(whole) // 2],
        whole.replace(b"devices", b"DEVICES"),
    ):
        file.write_bytes(damaged)
        with pytest.raises(StagingError, match=r"saved\.tar"):
            restoring.restore(data, data.database, file, Wanted("x"))
    assert at
    assert data.database.read_bytes() == before


@pytest.mark.one_database
def test_names_that_lead_out_of_the_folder(data: DataDir, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    backup.make(data, data.database, file, 0)
    (tmp_path / "evil").write_text("x")
    for name in ("files/../../evil", "files/ca/../../../evil", "/etc/evil", "files/other"):
        shutil.copy(file, tmp_path / "bad.tar")
        with tarfile.open(tmp_path / "bad.tar", "a") as archive:
            archive.add(tmp_path / "evil", name)
        with pytest.raises(StagingError, match="no part of a backup"):
            restoring.restore(data, data.database, tmp_path / "bad.tar", Wanted("x"))


@pytest.mark.one_database
def test_a_damaged_store_is_not_saved_over_a_good_backup(data: DataDir, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    backup.make(data, data.database, file, 0)
    good = file.read_bytes()
    with closing(sqlite3.connect(data.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    scribble(data.database)
    with pytest.raises(StagingError):
        backup.make(data, data.database, file, 0)
    assert file.read_bytes() == good
