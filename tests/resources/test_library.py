"""The media folder: what is found in it, and what is not a track."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from machine.errors import RefusedError, UnavailableError
from resources.library import Library
from tests.conftest import write_tone


@pytest.mark.parametrize("wanted", ["../secret", "/etc/passwd", "..", "file:///etc/passwd"])
def test_nothing_outside_the_media_folder_is_found(tmp_path: Path, wanted: str) -> None:
    folder = tmp_path / "media"
    write_tone(tmp_path / "secret.wav")
    folder.mkdir()
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(RefusedError, match="0 titles"):
        Library(folder).find(wanted)
    assert Library(folder).titles() == []


def test_a_link_that_leads_to_itself_is_no_track(tmp_path: Path) -> None:
    (tmp_path / "loop.mp3").symlink_to(tmp_path / "loop.mp3")
    (tmp_path / "song.mp3").touch()
    assert Library(tmp_path).titles() == ["song"]


def test_names_that_are_no_utf_8_are_titles_with_marks(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xb9\xca story.mp3")).touch()
    library = Library(tmp_path)
    assert library.titles() == ["\N{REPLACEMENT CHARACTER}" * 2 + " story"]
    track = library.find("story").current
    assert track
    assert os.fsencode(track.source).endswith(b"/\xb9\xca story.mp3")
    assert library.find(track.title).current == track


async def test_a_card_that_cannot_be_read_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Path, _pattern: str) -> list[Path]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "rglob", fail)
    with pytest.raises(UnavailableError, match="the media cannot be read: Input/output error"):
        Library(tmp_path).find("song")
