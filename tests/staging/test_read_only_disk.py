"""A cloud whose disk is mounted read-only, as a system does with one that fails: it is read, served and saved, and told as that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from staging.commands import cli
from staging.commands.asking import SOCKET_NAME
from staging.commands.command_socket import open_command_socket
from staging.data_dir import locked

UUID = "01a800000072af"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cloud's folder with one device, on a disk that has become read-only."""
    disk = tmp_path_factory.mktemp("disk")
    made = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if subprocess.run(made, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs takes root")
    try:
        assert cli.main(["device", "add", "--uuid", UUID, "--data", str(disk / "cloud")]) == 0
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        yield disk / "cloud"
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_it_is_read_and_a_change_is_refused_with_the_cause(data: Path, run: Run) -> None:
    assert UUID in run("device", "list", "--data", str(data))[1]
    assert "devices" in run("sizes", "--data", str(data))[1]
    assert run("check", "--data", str(data))[:2] == (0, "the store is sound\n")
    code, _, said = run("device", "add", "--data", str(data))
    assert code == 1
    assert "cannot be written: its disk is read-only" in said
    assert "full" not in said


def test_it_can_be_saved(data: Path, tmp_path: Path, run: Run) -> None:
    saved, other = str(tmp_path / "saved.tar"), str(tmp_path / "other")
    assert run("backup", saved, "--data", str(data))[0] == 0
    # Its journal has no mark of this backup: whoever restores it says where the journal is.
    assert "--without-journal" in run("restore", saved, "--data", other)[2]
    assert run("restore", saved, "--data", other, "--without-journal")[0] == 0
    (device,) = json.loads(run("device", "list", "--data", other, "--json")[1])["devices"]
    assert device["uuid"] == UUID


async def test_it_is_served_without_commands(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with locked(data / ".a.lock", "", timeout=0), locked(data / ".b.lock", "", timeout=0):
        async with open_command_socket(data, {}):
            assert not (data / SOCKET_NAME).exists()
    assert "Read-only file system: commands find no server" in caplog.text
