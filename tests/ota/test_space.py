"""What a full disk lacks: bytes, files or a share."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from ota.space import describe_full, no_space

FULL = OSError(errno.ENOSPC, "No space left on device")


class Disk:
    def __init__(self, files: int, free: int) -> None:
        self.f_files, self.f_favail = files, free


def mount(monkeypatch: pytest.MonkeyPatch, files: int, free: int) -> None:
    monkeypatch.setattr("ota.space.os.statvfs", lambda _path: Disk(files, free))


CASES: dict[str, tuple[int, int, OSError | None, str]] = {
    # files, free files, what the system said, what is told
    "bytes": (100_000, 50_000, FULL, "no space: needs 7 bytes, has 5"),
    "inodes": (
        1000, 0, FULL,
        "no space: the disk takes no more files (0 of 1000 inodes are free): delete some; of bytes it needs 7 and has 5",
    ),
    "a few inodes are as good as none": (1000, 3, FULL, "(3 of 1000 inodes are free)"),
    "a file system that counts no files": (0, 0, FULL, "no space: needs 7 bytes, has 5"),
    "bytes that were compared beforehand": (1000, 0, None, "no space: needs 7 bytes, has 5"),
    "a quota": (100_000, 50_000, OSError(errno.EDQUOT, "Quota"), "no space: the quota of the agent's user"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    files, free, cause, told = CASES[case]
    mount(monkeypatch, files, free)
    assert told in str(no_space(tmp_path, 7, 5, cause))


def test_other_writes_name_the_inodes_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(monkeypatch, 1000, 0)
    assert "0 of 1000 inodes" in describe_full(FULL, tmp_path)
    assert describe_full(OSError(errno.EIO, "Input/output error"), tmp_path).endswith("error")
    mount(monkeypatch, 1000, 500)
    assert describe_full(FULL, tmp_path) == str(FULL)


def test_a_folder_that_is_gone_is_no_reason_for_another_error(monkeypatch: Any) -> None:
    def gone(_path: object) -> os.statvfs_result:
        raise FileNotFoundError

    monkeypatch.setattr("ota.space.os.statvfs", gone)
    assert str(no_space(Path("/none"), 7, 5, FULL)) == "no space: needs 7 bytes, has 5"
