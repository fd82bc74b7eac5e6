"""What is told of a database that cannot be opened or written: what it says, and what to do."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from staging.errors import StagingError, StoreFaultError
from staging.store import Database, devices
from staging.store.engine import locate, migrating_engine
from staging.store.unopened import unopened
from tools.postgresql import PostgresServer


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ('FATAL: password authentication failed for user "x"', "user and password in --database"),
        ("fe_sendauth: no password supplied", "user and password in --database"),
        ('FATAL: role "x" does not exist', "user and password in --database"),
        ('FATAL: database "x" does not exist', "make that database first, with createdb"),
        ("permission denied for table alembic_version", "its user must own the database"),
        ('could not extend file "base/5/1": No space left on device', "free space there"),
        ("server closed the connection unexpectedly", "start it and repeat this"),
        ("Connection refused Is the server running on that host?", "start PostgreSQL, or give"),
        ('could not translate host name "none" to address', "start PostgreSQL, or give"),
    ],
)
def test_what_to_do_is_said(said: str, remedy: str) -> None:
    told = unopened("postgresql://x@/y", OperationalError("", {}, Exception(said)))
    assert isinstance(told, StoreFaultError)
    assert str(told).startswith(f"postgresql://x@/y: {said}; ")
    assert remedy in str(told)
    assert said in told.zh


def test_what_nobody_knows_a_remedy_for_stands_alone() -> None:
    told = unopened("postgresql://x@/y", OperationalError("", {}, Exception("FATAL: weiß nicht")))
    assert (type(told), str(told)) == (StagingError, "postgresql://x@/y: FATAL: weiß nicht")


def test_a_real_server_says_what_is_matched(postgres: PostgresServer, tmp_path: Path) -> None:
    for url, remedy in (
        (postgres.url("there_is_none"), "with createdb"),
        (postgres.url(user="nobody_of_this_name"), "user and password"),
        (f"postgresql://x@/y?host={tmp_path}", "start PostgreSQL"),
    ):
        with pytest.raises(StoreFaultError, match=remedy):
            Database(url)


def test_an_error_is_told_once(postgres: PostgresServer, caplog: pytest.LogCaptureFixture) -> None:
    """The driver's own warning is about what is left of a pipeline that an error has ended."""
    made = migrating_engine(locate(postgres.url()))
    with made.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE one (a int PRIMARY KEY)"))
        with pytest.raises(DBAPIError):
            connection.execute(text("INSERT INTO one VALUES (:a)"), [{"a": 1}] * 2000)
    made.dispose()
    assert caplog.records == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs takes root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


UUID = "0083000000000a"


def fill(disk: Path) -> Path:
    """Leave no byte of it."""
    path = disk / "rest"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return path


def test_a_log_without_room_for_its_index_is_told_with_what_to_do(
    disk: Path, tmp_path: Path
) -> None:
    path, log = disk / "cloud.sqlite", disk / "cloud.sqlite-wal"
    database = Database(tmp_path / "cloud.sqlite")
    database.call(devices.add, UUID, 1, version=0)
    for each in (path, log):  # as a power cut may leave them: without the index
        each.write_bytes((tmp_path / each.name).read_bytes())
    database.close()
    before = path.read_bytes(), log.read_bytes()
    rest = fill(disk)
    with pytest.raises(StoreFaultError) as told:
        Database(path)
    assert "(0 bytes are free); what was written last is in its log cloud.sqlite-wal" in str(
        told.value
    )
    assert str(told.value).endswith("nothing is lost: free space on the disk and start again")
    assert "还剩 0 字节" in told.value.zh
    assert "cloud.sqlite-wal" in told.value.zh
    assert told.value.zh.endswith("请腾出空间再启动")
    assert (path.read_bytes(), log.read_bytes()) == before
    rest.unlink()
    database = Database(path)
    assert database.call(devices.get, UUID).uuid == UUID
    database.close()
