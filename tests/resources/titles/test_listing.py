"""One folder of a card: what is a title, and what only looks like one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resources.titles.listing import folder_times, is_searched, is_sound_name, list_folder
from tests.resources.parts import make_sounds


def listed(folder: Path) -> tuple[set[bytes], set[bytes]]:
    root = os.fsencode(os.path.realpath(folder))
    listing = list_folder(root, root)
    return set(listing.sounds), set(listing.folders)


@pytest.mark.parametrize(
    "name",
    ["._01 x.mp3", ".hidden.mp3", ".mp3", "mp3", "cover.jpg", "list.m3u", "x.mp3.part", "x.mp3~",
     "notes.txt", "x.", "x"],
)  # fmt: skip
def test_names_that_are_no_titles(tmp_path: Path, name: str) -> None:
    make_sounds(tmp_path, name)
    assert listed(tmp_path) == (set(), set())


@pytest.mark.parametrize(
    "ending", ["mp3", "M4B", "oga", "mka", "mp4", "webm", "aiff", "mp2", "wma"]
)
def test_what_the_player_plays_is_a_title(tmp_path: Path, ending: str) -> None:
    make_sounds(tmp_path, f"x.{ending}")
    assert listed(tmp_path)[0] == {f"x.{ending}".encode()}


def test_what_is_no_file_or_empty_is_no_title(tmp_path: Path) -> None:
    make_sounds(tmp_path, "song.mp3")
    (tmp_path / "empty.mp3").touch()
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "folder.mp3").mkdir()
    assert listed(tmp_path) == ({b"song.mp3"}, {b"folder.mp3"})
    assert list_folder(os.fsencode(tmp_path), os.fsencode(tmp_path)).has_empty


@pytest.mark.parametrize(
    "name",
    [".Trash-1000", ".Trashes", "$RECYCLE.BIN", "System Volume Information", "lost+found",
     "LOST.DIR", "__MACOSX", "@eaDir", "FOUND.000"],
)  # fmt: skip
def test_folders_that_are_not_looked_into(tmp_path: Path, name: str) -> None:
    make_sounds(tmp_path / name, "x.mp3")
    assert listed(tmp_path) == (set(), set())
    assert not is_searched(name.encode())


def test_links(tmp_path: Path) -> None:
    card = tmp_path / "card"
    make_sounds(tmp_path, "secret.mp3")
    make_sounds(tmp_path / "card2", "secret.mp3")
    make_sounds(card / "songs", "song.mp3")
    links: dict[str, str | Path] = {
        "inside.mp3": "songs/song.mp3", "outside.mp3": tmp_path / "secret.mp3",
        "beside.mp3": "../card2/secret.mp3", "loop.mp3": "loop.mp3", "nowhere.mp3": "nothing",
        "device.mp3": "/dev/zero", "up": "..", "circle": ".", "folder.mp3": "songs",
    }  # fmt: skip
    for name, target in links.items():
        (card / name).symlink_to(target)
    assert listed(card) == ({b"inside.mp3"}, {b"songs"})


def test_names_of_any_bytes(tmp_path: Path) -> None:
    make_sounds(tmp_path, os.fsdecode(b"\xb9\xca.mp3"), "a\nb.mp3")
    assert listed(tmp_path)[0] == {b"\xb9\xca.mp3", b"a\nb.mp3"}
    assert is_sound_name(b"\xb9\xca.MP3")


def test_a_folders_times_tell_what_it_is_and_when_it_changed(tmp_path: Path) -> None:
    before = folder_times(os.fsencode(tmp_path))
    os.utime(tmp_path, ns=(1, 1))
    after = folder_times(os.fsencode(tmp_path))
    assert before[:2] == after[:2]
    assert before != after
    assert folder_times(os.fsencode(tmp_path / "gone")) == ()
