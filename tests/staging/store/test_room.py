"""What a full disk has left is told: bytes, or files where those are used up."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from staging.store import room
from staging.store.engine import Trouble
from staging.store.outage import Outage

pytestmark = pytest.mark.one_database
BYTES = SimpleNamespace(f_files=60, f_favail=7, f_bavail=3, f_frsize=4096, f_flag=0)
INODES = SimpleNamespace(f_files=60, f_favail=0, f_bavail=3, f_frsize=4096, f_flag=0)
UNCOUNTED = SimpleNamespace(f_files=0, f_favail=0, f_bavail=3, f_frsize=4096, f_flag=0)


@pytest.mark.parametrize(
    ("disk", "told"),
    [
        (BYTES, "12,288 bytes are free"),
        (UNCOUNTED, "12,288 bytes are free"),
        (INODES, "it takes no more files: 0 of 60 inodes are free"),
    ],
)
def test_what_is_left(
    disk: SimpleNamespace,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _folder: disk)
    assert room.left(tmp_path) == told
    spell = Outage(str(tmp_path / "cloud.sqlite"))
    for _ in range(3):
        spell.note(Trouble.FULL, "disk I/O error")
    assert caplog.text.count(f"cannot be written: disk I/O error ({told})") == 1


def test_a_read_only_disk_is_not_told_to_be_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert (room.is_read_only(tmp_path), room.cause(tmp_path)) == (False, "its disk is full")
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert (room.is_read_only(tmp_path), room.cause(tmp_path)) == (True, "its disk is read-only")
    Outage(str(tmp_path / "cloud.sqlite")).note(Trouble.FULL, "no file")
    assert (
        "cannot be written: no file (its disk is read-only); look whether it fails" in caplog.text
    )
    assert "free space" not in caplog.text


def test_a_database_elsewhere_has_its_disk_there(caplog: pytest.LogCaptureFixture) -> None:
    Outage("postgresql://story@host/cloud").note(Trouble.FULL, "no room")
    assert "cannot be written: no room; free space" in caplog.text
