"""The media folder while files, folders and cards come and go, with the kernel's watches and without.

After each change the index must be what a reading of the whole folder gives.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import resources.titles.media_folder
from machine.folder_watch import FolderWatch
from resources.titles.listing import Listing, list_folder
from resources.titles.media_folder import MediaFolder
from resources.titles.title_index import title_of
from tests.resources.parts import SOUND, descriptors, make_sounds


@pytest.fixture(params=["watched", "unwatched", "few watches"], autouse=True)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Grant watches, none, or two."""
    granted = [True, True] if request.param == "few watches" else None
    add = FolderWatch.add

    def start(_self: FolderWatch) -> None:
        raise OSError(24, "Too many open files")

    def add_few(self: FolderWatch, folder: bytes) -> int:
        if granted:
            granted.pop()
            return add(self, folder)
        raise OSError(28, "No space left on device")

    if request.param == "unwatched":
        monkeypatch.setattr(FolderWatch, "__init__", start)
    elif request.param == "few watches":
        monkeypatch.setattr(FolderWatch, "add", add_few)
    return str(request.param)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    make_sounds(folder, "a.mp3")
    make_sounds(folder / "Album" / "CD1", "1.mp3", "2.mp3")
    make_sounds(folder / "Album" / "CD2", "1.mp3")
    return folder


@pytest.fixture
def media(card: Path) -> Iterator[MediaFolder]:
    made = MediaFolder(card)
    yield made
    made.close()


def found(media: MediaFolder) -> list[str]:
    """Return the path of each title, in order, as the index has it."""
    return [
        os.fsdecode(os.path.join(folder.path, name))  # noqa: PTH118  # bytes
        for folder in media.index().folders
        for name in folder.every_name()
    ]


ALL = ["a.mp3", "Album/CD1/1.mp3", "Album/CD1/2.mp3", "Album/CD2/1.mp3"]


def test_a_folder_is_read_once(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch, card: Path
) -> None:
    for folder, *_ in os.walk(card):
        os.utime(folder, ns=(10**18, 10**18))  # long settled
    read: list[bytes] = []

    def watched_list(path: bytes, root: bytes) -> Listing:
        read.append(path)
        return list_folder(path, root)

    monkeypatch.setattr(resources.titles.media_folder, "list_folder", watched_list)
    assert found(media) == ALL
    assert len(read) == 4
    assert media.index() is media.index()
    make_sounds(card / "Album" / "CD2", "3.mp3")
    assert found(media)[-1] == "Album/CD2/3.mp3"
    assert [*map(os.fsdecode, read[4:])] == [str(card / "Album" / "CD2")]


def test_files_that_come_and_go(media: MediaFolder, card: Path) -> None:
    assert found(media) == ALL
    make_sounds(card, "b.mp3")
    assert found(media) == ["a.mp3", "b.mp3", *ALL[1:]]
    (card / "a.mp3").rename(card / "c.mp3")
    assert found(media) == ["b.mp3", "c.mp3", *ALL[1:]]
    (card / "b.mp3").unlink()
    assert found(media) == ["c.mp3", *ALL[1:]]


def test_a_file_that_is_empty_at_first_is_a_title_when_it_is_filled(
    media: MediaFolder, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.titles.media_folder, "TIME_STEP", 0)
    with (card / "b.mp3").open("wb") as copied:
        assert found(media) == ALL
        copied.write(SOUND)
    assert found(media) == ["a.mp3", "b.mp3", *ALL[1:]]


def test_a_folder_that_is_moved_is_found_where_it_is(media: MediaFolder, card: Path) -> None:
    assert found(media) == ALL
    (card / "Album" / "CD1").rename(card / "CD3")
    assert found(media) == ["a.mp3", "Album/CD2/1.mp3", "CD3/1.mp3", "CD3/2.mp3"]
    make_sounds(card / "CD3", "3.mp3")
    assert found(media)[-1] == "CD3/3.mp3"
    (card / "CD3").rename(card / "Album" / "CD1")
    (card / "Album" / "CD1" / "3.mp3").unlink()
    assert found(media) == ALL


def test_a_folder_that_is_replaced_by_one_of_its_name(media: MediaFolder, card: Path) -> None:
    assert found(media) == ALL
    shutil.rmtree(card / "Album")
    make_sounds(card / "Album", "new.mp3")
    assert found(media) == ["a.mp3", "Album/new.mp3"]


def test_a_folder_is_exchanged_for_one_with_the_same_folders(
    media: MediaFolder, card: Path, tmp_path: Path
) -> None:
    """The inner folder itself has neither moved nor changed: another is where it was."""
    make_sounds(tmp_path / "other" / "CD1", "new.mp3")
    assert found(media) == ALL
    (card / "Album").rename(tmp_path / "old")
    (tmp_path / "other").rename(card / "Album")
    assert found(media) == ["a.mp3", "Album/CD1/new.mp3"]


def test_a_folder_above_the_card_is_exchanged(tmp_path: Path) -> None:
    make_sounds(tmp_path / "slot" / "card", "a.mp3")
    make_sounds(tmp_path / "other" / "card", "b.mp3")
    media = MediaFolder(tmp_path / "slot" / "card")
    assert found(media) == ["a.mp3"]
    (tmp_path / "slot").rename(tmp_path / "old")
    (tmp_path / "other").rename(tmp_path / "slot")
    assert found(media) == ["b.mp3"]
    media.close()


def test_the_whole_card_is_replaced(media: MediaFolder, card: Path, tmp_path: Path) -> None:
    assert found(media) == ALL
    card.rename(tmp_path / "old")
    assert found(media) == []
    make_sounds(card, "new.mp3")
    assert found(media) == ["new.mp3"]
    make_sounds(card, "newer.mp3")
    assert found(media) == ["new.mp3", "newer.mp3"]


def test_a_link_to_the_card_is_turned_to_another(tmp_path: Path, card: Path) -> None:
    make_sounds(tmp_path / "other", "o.mp3")
    (tmp_path / "media").symlink_to(card)
    media = MediaFolder(tmp_path / "media")
    assert found(media) == ALL
    (tmp_path / "media").unlink()
    (tmp_path / "media").symlink_to(tmp_path / "other")
    assert found(media) == ["o.mp3"]
    media.close()


@pytest.mark.parametrize("place", [".", "Album/CD1"])
def test_a_card_is_mounted_and_taken_out(media: MediaFolder, card: Path, place: str) -> None:
    assert found(media) == ALL
    mount = ["mount", "-t", "tmpfs", "none", str(card / place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        assert len(found(media)) < len(ALL)
        make_sounds(card / place, "new.mp3")
        assert any(path.endswith("new.mp3") for path in found(media))
    finally:
        subprocess.run(["umount", str(card / place)], check=True)
    assert found(media) == ALL


def test_a_mount_elsewhere_makes_nothing_be_read_again_that_is_watched(
    media: MediaFolder, tmp_path: Path, kernel: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    before = media.index()
    mount = ["mount", "-t", "tmpfs", "none", str(tmp_path / "elsewhere")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        now = media.index()
        assert now is before if kernel == "watched" else found(media) == ALL
    finally:
        subprocess.run(["umount", str(tmp_path / "elsewhere")], check=True)


def test_a_folder_mounted_inside_itself_ends(media: MediaFolder, card: Path) -> None:
    (card / "again").mkdir()
    mount = ["mount", "--bind", str(card), str(card / "again")]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        assert len(found(media)) == 2 * len(ALL)
        make_sounds(card, "b.mp3")
        assert len(found(media)) == 2 * len(ALL) + 2
    finally:
        subprocess.run(["umount", str(card / "again")], check=True)
    assert found(media) == ["a.mp3", "b.mp3", *ALL[1:]]


def test_a_folder_that_cannot_be_read_costs_no_other(
    media: MediaFolder, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: bytes, root: bytes) -> Listing:
        if path.endswith(b"CD1"):
            raise OSError(5, "Input/output error")
        return list_folder(path, root)

    with monkeypatch.context() as patched:
        patched.setattr(resources.titles.media_folder, "list_folder", fail)
        assert found(media) == ["a.mp3", "Album/CD2/1.mp3"]
        error = media.unreadable()
        assert error is not None
        assert error.strerror == "Input/output error"
        media.index(again=True)
        make_sounds(card, "b.mp3")
        assert found(media) == ["a.mp3", "b.mp3", "Album/CD2/1.mp3"]
        assert media.unreadable() is not None
    media.index(again=True)
    assert media.unreadable() is None
    assert found(media) == ["a.mp3", "b.mp3", *ALL[1:]]


def test_an_unreadable_folder_is_tried_again_when_the_one_above_changes(
    media: MediaFolder, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: bytes, root: bytes) -> Listing:
        if path.endswith(b"CD1"):
            raise OSError(13, "Permission denied")
        return list_folder(path, root)

    with monkeypatch.context() as patched:
        patched.setattr(resources.titles.media_folder, "list_folder", fail)
        assert found(media) == ["a.mp3", "Album/CD2/1.mp3"]
        assert media.unreadable() is None  # it is not meant to be read
    make_sounds(card / "Album", "0.mp3")
    assert found(media) == ["a.mp3", "Album/0.mp3", *ALL[1:]]


def test_a_card_that_cannot_be_read_at_all_is_tried_again(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch, card: Path
) -> None:
    def fail(_path: bytes, _root: bytes) -> Listing:
        raise OSError(5, "Input/output error")

    assert found(media) == ALL
    make_sounds(card, "b.mp3")
    with monkeypatch.context() as patched:
        patched.setattr(resources.titles.media_folder, "list_folder", fail)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                media.index()
    assert found(media) == ["a.mp3", "b.mp3", *ALL[1:]]


def test_what_is_beyond_the_limits_is_left_out_and_told(
    media: MediaFolder,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(resources.titles.media_folder, "TITLES_LIMIT", 3)
    assert found(media) == ALL[:3]
    assert "media: more than 3 titles" in caplog.text
    (card / "a.mp3").unlink()
    assert found(media) == ALL[1:]
    monkeypatch.setattr(resources.titles.media_folder, "FOLDERS_LIMIT", 3)
    make_sounds(card / "Album", "0.mp3")
    assert found(media) == ["Album/0.mp3", "Album/CD1/1.mp3", "Album/CD1/2.mp3"]


def test_a_reading_ends_when_the_folder_is_closed(
    media: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def close_meanwhile(path: bytes, root: bytes) -> Listing:
        read.append(path)
        monkeypatch.setattr(media, "_closing", True)
        return list_folder(path, root)

    with monkeypatch.context() as patched:
        patched.setattr(resources.titles.media_folder, "list_folder", close_meanwhile)
        media.index()
    assert len(read) == 1
    media.close()
    assert found(media) == ALL


def test_a_closed_folder_begins_anew(media: MediaFolder, card: Path) -> None:
    assert found(media) == ALL
    media.close()
    make_sounds(card, "b.mp3")
    assert found(media) == ["a.mp3", "b.mp3", *ALL[1:]]


def test_no_descriptor_is_left_open(card: Path) -> None:
    before = descriptors()
    for _ in range(5):
        media = MediaFolder(card)
        media.index()
        media.close()
    MediaFolder(card).index()  # not closed, but gone
    assert descriptors() == before


@pytest.mark.parametrize("seed", range(12))
def test_after_any_changes_the_index_is_that_of_a_new_reading(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    card = tmp_path / "card"
    card.mkdir()
    media = MediaFolder(card)
    for _ in range(60):
        for _ in range(chance.randint(1, 4)):
            change_something(card, chance)
        assert found(media) == whole(card)
    media.close()


def whole(card: Path) -> list[str]:
    fresh = MediaFolder(card)
    paths = found(fresh)
    fresh.close()
    walked = [p for p in card.rglob("*.mp3") if p.is_file() and p.stat().st_size]
    assert sorted(paths) == sorted(str(p.relative_to(card)) for p in walked)
    return paths


def change_something(card: Path, chance: random.Random) -> None:
    folders = [card, *(p for p in card.rglob("*") if p.is_dir())]
    files = [p for p in card.rglob("*") if p.is_file()]
    into = chance.choice(folders)
    name = chance.choice("abc")
    match chance.randrange(7):
        case 0:
            (into / name).mkdir(exist_ok=True)
        case 1 | 2:
            make_sounds(into, f"{name}.mp3")
        case 3:
            (into / f"{name}.mp3").write_bytes(b"")
        case 4 if files:
            chance.choice(files).unlink()
        case 5 if into != card:
            shutil.rmtree(into)
        case 6:
            moved = chance.choice(folders)
            target = into / name
            if moved != card and not target.exists() and not target.is_relative_to(moved):
                moved.rename(target)


def test_titles_are_those_of_the_names(media: MediaFolder) -> None:
    folder = media.index().folders[0]
    assert [title_of(name) for name in folder.every_name()] == ["a"]
