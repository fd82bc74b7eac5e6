"""backup, restore, check and sizes as people run them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from staging.commands import cli
from staging.data_dir import DataDir
from staging.taken_back import FILE_NAME
from tests.staging.commands.conftest import Cloud, run


@pytest.fixture
def data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DataDir:
    made = DataDir(tmp_path / "cloud")
    assert cli.main(["device", "add", "--uuid", "0083000000000a", "--data", str(made.root)]) == 0
    capsys.readouterr()
    return made


def test_a_backup_of_a_running_cloud_is_restored_elsewhere(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "saved.tar"
    before = cloud.command("device", "list")["devices"]
    told = cloud.command("backup", str(file))
    assert {"ca", "tuf", "tuf-keys"} <= set(told["files"])
    refused = run("restore", str(file), "--data", str(cloud.data), ok=False)
    assert "serve runs on it: stop it first" in refused.stderr
    other = tmp_path / "other"
    assert cli.main(["restore", str(file), "--data", str(other), "--json"]) == 1
    assert "with --journal FILE; or, if that is lost, --without-journal" in capsys.readouterr().err
    journal = ("--journal", str(cloud.data / FILE_NAME))
    assert cli.main(["restore", str(file), "--data", str(other), "--json", *journal]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["replaced"], told["takenBack"]) == (None, 0)
    assert (other / FILE_NAME).exists()
    assert (other / "ca" / "ca.crt").read_bytes() == (cloud.data / "ca" / "ca.crt").read_bytes()
    assert (other / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert cli.main(["device", "list", "--data", str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"] == before


@pytest.mark.parametrize("name", ["cloud.sqlite", "ca/new.tar", "notes"])
def test_a_backup_takes_the_place_of_nothing_else(
    data: DataDir, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.root / "notes").write_text("mine")
    arguments = ["--data", str(data.root)]
    assert cli.main(["backup", str(data.root / name), *arguments]) == 1
    told = capsys.readouterr().err
    assert "is part of the cloud" in told or "it is not replaced" in told
    assert (data.root / "notes").read_text() == "mine"
    assert cli.main(["device", "list", *arguments]) == 0


def test_an_older_backup_is_replaced(data: DataDir) -> None:
    for _ in range(2):
        assert cli.main(["backup", str(data.root.parent / "a.tar"), "--data", str(data.root)]) == 0


def test_an_emptied_store_is_refused_by_each_command(
    data: DataDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "saved.tar")
    words = ("--data", str(data.root))
    assert cli.main(["backup", file, *words]) == 0
    data.database.write_bytes(b"")
    for command in (
        ["device", "list"],
        ["backup", file],
        ["check"],
        ["sizes"],
        ["serve", "--api-port", "0", "--device-port", "0"],
    ):
        capsys.readouterr()
        assert cli.main([*command, *words]) == 1
        assert "is empty" in capsys.readouterr().err
    assert cli.main(["restore", file, *words]) == 0
    assert "what was there is in" in capsys.readouterr().out
    assert cli.main(["check", *words]) == 0
    assert capsys.readouterr().out == "the store is sound\n"


@pytest.mark.parametrize(
    ("language", "told"),
    [("zh_CN.UTF-8", "是一个文件夹，不是数据库文件"), ("en_GB.UTF-8", "is a folder")],
)
def test_it_is_told_in_the_persons_language(
    data: DataDir,
    language: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("STORY_CLOUD_LANG")
    monkeypatch.setenv("LC_ALL", language)
    data.database.unlink()
    data.database.mkdir()
    assert cli.main(["check", "--data", str(data.root)]) == 1
    assert told in capsys.readouterr().err


def test_a_server_that_is_refused_makes_nothing(
    data: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder may be the wrong one: keys in it would be those of no device."""
    data.database.unlink()
    with closing(sqlite3.connect(data.database)) as other:
        other.execute("CREATE TABLE songs (name TEXT)")
    before = {each.name: each.is_dir() or each.read_bytes() for each in data.root.iterdir()}
    words = ["--data", str(data.root), "--api-port", "0", "--device-port", "0"]
    assert cli.main(["serve", *words]) == 1
    assert "has songs and no alembic_version" in capsys.readouterr().err
    after = {each.name: each.is_dir() or each.read_bytes() for each in data.root.iterdir()}
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() <= {".serve.lock", "cloud.sqlite-wal", "cloud.sqlite-shm"}


def test_the_check_of_a_folder_without_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "--data", str(tmp_path)]) == 1
    assert "cloud.sqlite: is missing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_sizes(data: DataDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sizes", "--data", str(data.root), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"devices": 1, "products": 1}.items() <= {
        t["table"]: t["rows"] for t in found["tables"]
    }.items()
    assert found["storeBytes"] > 0
    assert cli.main(["sizes", "--data", str(data.root)]) == 0
    assert "free on the disk" in capsys.readouterr().out


@pytest.mark.parametrize("days", ["-1", "1.5", "99999999", "x"])
def test_days_are_numbers(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["serve", "--report-days", days])
    assert "expected a number from 0 to 36500" in capsys.readouterr().err


def test_a_backup_with_another_file_than_was_saved_is_refused(
    data: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    data.ca.mkdir()
    (data.ca / "ca.key").write_bytes(b"key 1" * 100)
    file, words = data.root.parent / "a.tar", ("--data", str(data.root))
    assert cli.main(["backup", str(file), *words]) == 0
    whole = file.read_bytes()
    for damaged, expected in (
        (whole.replace(b"key 1", b"kex 1", 1), "files/ca/ca.key is not the one that was saved"),
        (whole.replace(b"ca/ca.key", b"ca/cb.key"), "not whole"),
        (whole.replace(b"sums.json\0", b"sumt.json\0"), "not whole"),
        (whole[: whole.rindex(b"sums.json\0")], "not whole"),
    ):
        file.write_bytes(damaged)
        capsys.readouterr()
        assert cli.main(["restore", str(file), *words]) == 1
        assert expected in capsys.readouterr().err
        assert (data.ca / "ca.key").read_bytes() == b"key 1" * 100
