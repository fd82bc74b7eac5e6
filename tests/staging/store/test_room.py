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
BYTES = SimpleNamespace(f_files=60, f_favail=7, f_bavail=3, f_frsize=4096)
INODES = SimpleNamespace(f_files=60, f_favail=0, f_bavail=3, f_frsize=4096)
UNCOUNTED = SimpleNamespace(f_files=0, f_favail=0, f_bavail=3, f_frsize=4096)


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


def test_a_database_elsewhere_has_its_disk_there(caplog: pytest.LogCaptureFixture) -> None:
    Outage("postgresql://story@host/cloud").note(Trouble.FULL, "no room")
    assert "cannot be written: no room; free space" in caplog.text
