"""What lies in a store's place and is no file that can be opened is told as what it is, in both languages."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from staging.store import place

pytestmark = pytest.mark.one_database
Harm = Callable[[Path], object]


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)  # its name must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


KINDS: dict[str, tuple[Harm, str, str]] = {
    "a folder": (Path.mkdir, "is a folder", "是一个文件夹"),
    "a pipe": (fifo, "is a pipe", "是一个管道"),
    "a device": (lambda path: path.symlink_to("/dev/null"), "is a device", "是一个设备"),
    "a link to a folder": (lambda path: path.symlink_to(path.parent), "is a folder", "是一个文件夹"),
    "a link to a disk that is not mounted": (
        lambda path: path.symlink_to("/nowhere/cloud.sqlite"), "is a link to /nowhere/cloud.sqlite, whose folder is not there",
        "那里的文件夹不存在",
    ),
    "a link to itself": (lambda path: path.symlink_to(path), "leads nowhere", "走不到头"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_told_what_is_there(kind: str, tmp_path: Path) -> None:
    harm, en, zh = KINDS[kind]
    path = tmp_path / "cloud.sqlite"
    harm(path)
    found = place.find_fault(path)
    assert found is not None
    assert found[0] == path
    assert en in found[1].en
    assert "`story-cloud restore FILE`" in found[1].en
    assert zh in found[1].zh
    assert "`story-cloud restore FILE`" in found[1].zh


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unix_socket(tmp_path / "cloud.sqlite", monkeypatch)
    found = place.find_fault(tmp_path / "cloud.sqlite")
    assert found is not None
    assert "is a socket" in found[1].en


@pytest.mark.parametrize("end", place.BESIDE)
@pytest.mark.parametrize("harm", [Path.mkdir, fifo])
def test_what_lies_in_the_place_of_sqlites_own_files(harm: Harm, end: str, tmp_path: Path) -> None:
    path = tmp_path / "cloud.sqlite"
    path.write_bytes(b"x")
    harm(Path(f"{path}{end}"))
    found = place.find_fault(path)
    assert found is not None
    assert found[0] == Path(f"{path}{end}")
    assert "expected SQLite's own file" in found[1].en


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_or_nothing_is_no_fault(linked: bool, tmp_path: Path) -> None:  # noqa: FBT001  # pytest's
    path, real = tmp_path / "cloud.sqlite", tmp_path / "real.sqlite"
    if linked:
        path.symlink_to(real)
    assert place.find_fault(path) is None
    (real if linked else path).write_bytes(b"x")
    assert place.find_fault(path) is None
    assert place.log_of(path, "-wal").name == ("real" if linked else "cloud") + ".sqlite-wal"


@pytest.mark.parametrize(
    ("right", "name", "en"),
    [
        (os.R_OK, "cloud.sqlite", "may not be read by this user"),
        (os.W_OK, "cloud.sqlite", "may not be written by this user"),
        (os.W_OK | os.X_OK, "", "its folder"),
        (os.R_OK, "cloud.sqlite-wal", "may not be read by this user"),
    ],
)
def test_a_file_of_somebody_elses(
    right: int, name: str, en: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another user: root, as which the tests may run, may do everything."""
    for each in ("cloud.sqlite", "cloud.sqlite-wal"):
        (tmp_path / each).write_bytes(b"x")
        (tmp_path / each).chmod(0o640)
    wanted = tmp_path / name
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == wanted and mode == right))
    found = place.find_fault(tmp_path / "cloud.sqlite")
    assert found is not None
    assert en in found[1].en
    assert "with chown or chmod" in found[1].en
    assert ("mode 0640" in found[1].en) is bool(name)
    assert "权限" in found[1].zh


@pytest.mark.parametrize("harm", [lambda _folder: None, lambda folder: folder.write_text("x")])
def test_a_folder_that_is_none(harm: Harm, tmp_path: Path) -> None:
    harm(tmp_path / "there")
    found = place.find_fault(tmp_path / "there" / "cloud.sqlite")
    assert found is not None
    assert "folder" in found[1].en
    assert "--database" in found[1].en
