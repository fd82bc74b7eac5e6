"""The kernel's news of folders and mounts, from the kernel itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import machine.folder_watch
from machine.folder_watch import (
    FolderWatch,
    MountWatch,
    mounts_around,
    parse_events,
)


@pytest.fixture
def watch() -> Iterator[FolderWatch]:
    made = FolderWatch()
    yield made
    made.close()


def fill(folder: Path) -> None:
    (folder / "old").write_text("x")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file that comes": lambda f: (f / "new").touch(),
    "a file that is written": fill,
    "a file that goes": lambda f: (f / "old").unlink(),
    "a file with another name": lambda f: (f / "old").rename(f / "new"),
    "a file that is moved away": lambda f: (f / "old").rename(f.parent / "new"),
    "a folder that comes": lambda f: (f / "new").mkdir(),
    "a folder that goes": lambda f: (f / "inner").rmdir(),
    "another mode": lambda f: (f / "inner").chmod(0),
    "the folder itself moved": lambda f: f.rename(f.parent / "other"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_told_once(
    watch: FolderWatch, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "old").touch()
    number = watch.add(os.fsencode(folder))
    assert watch.changes() == set()
    change(folder)
    assert watch.changes() == {number}
    assert watch.changes() == set()


def test_reading_is_no_change(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    watch.add(os.fsencode(tmp_path))
    (tmp_path / "old").read_text()
    list(tmp_path.iterdir())
    assert watch.changes() == set()


def test_a_watch_that_was_removed_tells_nothing_more(watch: FolderWatch, tmp_path: Path) -> None:
    number = watch.add(os.fsencode(tmp_path))
    watch.remove(number)
    watch.changes()  # the end of the watch itself
    (tmp_path / "new").touch()
    assert watch.changes() == set()


def test_a_moved_folder_keeps_its_number(watch: FolderWatch, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    number = watch.add(os.fsencode(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    assert watch.add(os.fsencode(tmp_path / "b")) == number


@pytest.mark.parametrize("kind", ["missing", "file", "link"])
def test_what_is_no_folder_cannot_be_watched(watch: FolderWatch, tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"No such file|Not a directory|symbolic links"):
        watch.add(os.fsencode(tmp_path / kind))


@pytest.mark.parametrize("mask", [0x4000, 0x2000])  # IN_Q_OVERFLOW, IN_UNMOUNT: linux/inotify.h
def test_lost_events_are_told(
    watch: FolderWatch, monkeypatch: pytest.MonkeyPatch, mask: int
) -> None:
    event = machine.folder_watch._EVENT.pack(-1, mask, 0, 0)
    written = iter([event, b""])
    monkeypatch.setattr(watch, "_read", lambda: next(written))
    assert watch.changes() is None


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(0, 2**32 - 1), st.integers(0, 32))))
def test_events_are_parsed_whatever_the_length_of_their_names(
    events: list[tuple[int, int, int]],
) -> None:
    pack = machine.folder_watch._EVENT.pack
    data = b"".join(pack(number, mask, 0, size) + bytes(size) for number, mask, size in events)
    assert list(parse_events(data)) == [(number, mask) for number, mask, _ in events]


TABLE = rb"""22 1 8:2 / / rw - ext4 /dev/sda2 rw
30 22 8:17 / /media/my\040card rw - vfat /dev/sdb1 rw
31 30 8:18 / /media/my\040card/inner rw - vfat /dev/sdb2 rw
32 22 0:5 / /media/my rw - tmpfs none rw
33 22 0:6 / /run/user/0 rw - tmpfs none rw
"""


@pytest.mark.parametrize(
    ("folder", "numbers"),
    [(b"/media/my card", [22, 30, 31]), (b"/media/my card/songs", [22, 30]), (b"/media", [22, 30, 31, 32]),
     (b"/media/my", [22, 32]), (b"/", [22, 30, 31, 32, 33])],
)  # fmt: skip
def test_the_mounts_that_concern_a_folder(folder: bytes, numbers: list[int]) -> None:
    assert [int(line.split()[0]) for line in mounts_around(TABLE, folder)] == numbers


def test_a_mount_and_its_end_are_told(tmp_path: Path) -> None:
    watch = MountWatch()
    mount = ["mount", "-t", "tmpfs", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        assert watch.changed()
        assert not watch.changed()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert watch.changed()
    assert MountWatch.around(os.fsencode(tmp_path))
    watch.close()
