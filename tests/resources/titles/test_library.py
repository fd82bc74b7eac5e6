"""The media folder: what is found in it by which words, and in what order."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

import resources.titles.media_folder
from machine.errors import RefusedError, UnavailableError
from resources.playing.queue import Queue
from resources.titles.library import Library, Tracks
from resources.titles.listing import Listing, list_folder
from tests.conftest import write_tone
from tests.resources.parts import make_sounds
from wire.media import SOUND_ENDINGS

NFD, NFC = "Ma\u0308rchen", "M\u00e4rchen"
# "TRACK 10" in full width.
WIDE = "TRACK 10".translate({n: n + 0xFEE0 for n in range(0x21, 0x7F)} | {0x20: 0x3000})


def titles(queue: Queue) -> list[str]:
    return [track.title for track in queue.tracks]


def current(queue: Queue) -> str:
    assert queue.current
    return queue.current.title


@pytest.fixture
def card(tmp_path: Path) -> Path:
    album = tmp_path / "Big Album"
    make_sounds(tmp_path, "next door.mp3", "Song.mp3", "Song.flac", "song.mp3.ogg", f"{NFD}.mp3")
    make_sounds(album / "CD1", "Track 1.mp3", "Track 2.mp3", "Track 10.mp3")
    make_sounds(album / "CD2", "Track 1.mp3", "第十集.mp3", "第三集.mp3")
    make_sounds(album / "CD10", "last.mp3")
    make_sounds(tmp_path / "儿歌", "两只老虎.mp3", "a\u3000b \u2764\ufe0f.mp3")
    return tmp_path


@pytest.mark.parametrize("wanted", ["../secret", "/etc/passwd", "..", "file:///etc/passwd"])
def test_nothing_outside_the_media_folder_is_found(tmp_path: Path, wanted: str) -> None:
    folder = tmp_path / "media"
    write_tone(tmp_path / "secret.wav")
    folder.mkdir()
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(RefusedError, match="0 titles"):
        Library(folder).find(wanted)
    assert Library(folder).titles() == []


def test_names_that_are_no_utf_8_are_titles_with_marks(tmp_path: Path) -> None:
    make_sounds(tmp_path, os.fsdecode(b"\xb9\xca story.mp3"), "line\nbreak.mp3")
    library = Library(tmp_path)
    marked = "\N{REPLACEMENT CHARACTER}" * 2 + " story"
    assert sorted(library.titles()) == ["line\N{REPLACEMENT CHARACTER}break", marked]
    track = library.find("story").current
    assert track
    assert os.fsencode(track.source).endswith(b"/\xb9\xca story.mp3")
    for title in library.titles():
        assert current(library.find(title)) == title


def test_a_folder_stands_for_all_below_it_in_order(card: Path) -> None:
    queue = Library(card).find("big album")
    expected = ["Track 1", "Track 2", "Track 10", "Track 1", "第三集", "第十集", "last"]
    assert titles(queue) == expected
    assert queue.whole
    assert queue.index == 0
    sources = [Path(track.source) for track in queue.tracks]
    assert all(source.is_file() for source in sources)
    assert [source.parent.name for source in sources] == ["CD1"] * 3 + ["CD2"] * 3 + ["CD10"]


def test_a_title_stands_in_its_own_folder(card: Path) -> None:
    queue = Library(card).find("第三集")
    assert titles(queue) == ["Track 1", "第三集", "第十集"]
    assert queue.index == 1
    assert not queue.whole


@pytest.mark.parametrize(
    ("wanted", "title"),
    [
        (NFC, NFC), (NFD, NFC), (NFC.upper(), NFC), (WIDE, "Track 10"), ("track\u00a010", "Track 10"),
        ("a b \u2764", "a\u3000b \u2764\ufe0f"), ("老虎", "两只老虎"), ("Song.flac", "Song"),
        ("SONG.FLAC", "Song"), ("song.mp3", "song.mp3"), ("cd2/track 1", "Track 1"),
        ("big album/cd2/第十集", "第十集"), ("next door", "next door"),
    ],
)  # fmt: skip
def test_a_title_is_found_however_it_is_written(card: Path, wanted: str, title: str) -> None:
    assert current(Library(card).find(wanted)) == title


def test_the_file_that_is_named_with_its_ending_is_taken(card: Path) -> None:
    library = Library(card)
    for ending in ("flac", "ogg"):
        found = library.find(f"Song.{ending}" if ending == "flac" else "song.mp3.ogg").current
        assert found
        assert found.source.endswith(f".{ending}")


def test_a_name_may_stand_as_in_a_sentence_unless_a_title_does(tmp_path: Path) -> None:
    make_sounds(tmp_path, "小星星.mp3", "《西游记》.mp3", "西游记.mp3", "完。.mp3")
    library = Library(tmp_path)
    for wanted, title in {
        "《小星星》": "小星星", "小星星。": "小星星", "《小星星》。": "小星星", "《西游记》": "《西游记》",
        "西游记": "西游记", "完。": "完。",
    }.items():  # fmt: skip
        assert current(library.find(wanted)) == title
    for wanted in ("《》", "《狮子王》", "。"):
        with pytest.raises(RefusedError):
            Library(tmp_path / "none").find(wanted)


def test_of_titles_that_differ_in_case_the_one_that_is_spelled_so_is_taken(tmp_path: Path) -> None:
    make_sounds(tmp_path, "Abc.mp3", "ABC.mp3", "abc.mp3")
    for title in ("abc", "Abc", "ABC"):
        assert current(Library(tmp_path).find(title)) == title
    assert current(Library(tmp_path).find("aBC")) == "ABC"
    make_sounds(tmp_path, "A\u0308.mp3", "a\u0308.mp3")
    for title in ("ä", "Ä"):
        for form in ("NFC", "NFD"):
            wanted = unicodedata.normalize(form, title)
            assert current(Library(tmp_path).find(wanted)) == title


@pytest.mark.parametrize(
    ("wanted", "first"),
    [("Big Album/CD2", "Track 1"), ("album", "x"), ("儿歌", "两只老虎"), ("儿歌/", "两只老虎")],
)
def test_folders_are_found_by_name_and_path(card: Path, wanted: str, first: str) -> None:
    make_sounds(card / "other" / "Album", "x.mp3")
    queue = Library(card).find(wanted)
    assert current(queue) == first
    assert queue.whole


def test_a_slash_in_a_title_is_no_path(tmp_path: Path) -> None:
    make_sounds(tmp_path, "AC\uff0fDC.mp3")
    assert current(Library(tmp_path).find("ac/dc")) == "AC\uff0fDC"


@pytest.mark.parametrize(
    "wanted", ["", " ", "\u3000", "\u200b", "/", "狮子王", "CD2/Track 2", "x/last"]
)
def test_what_is_nowhere_is_refused_with_what_there_is(card: Path, wanted: str) -> None:
    with pytest.raises(
        RefusedError, match=r"^play: got \".*\", expected one of 14 titles"
    ) as caught:
        Library(card).find(wanted)
    assert all(f" {ending}" in str(caught.value) for ending in SOUND_ENDINGS)
    assert len(str(caught.value).encode()) < 1024  # one block


def test_one_title_that_no_rule_allowed_before_costs_no_other(card: Path) -> None:
    assert len(Library(card).titles()) == 14


def test_no_media_folder_has_no_titles(tmp_path: Path) -> None:
    library = Library(tmp_path / "nothing")
    assert library.titles() == []
    with pytest.raises(RefusedError, match="0 titles"):
        library.find("a")
    make_sounds(tmp_path / "nothing", "a.mp3")
    assert current(library.find("a")) == "a"


@pytest.mark.parametrize("scheme", ["http", "HTTPS", "file"])
def test_a_url_is_no_title(card: Path, scheme: str) -> None:
    with pytest.raises(RefusedError, match="expected one of"):
        Library(card).find(f"{scheme}://example.org/song.mp3")


def test_a_folder_that_cannot_be_read_is_told_if_a_title_is_not_found(
    card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: bytes, root: bytes) -> Listing:
        if path.endswith(b"CD2"):
            raise OSError(5, "Input/output error")
        return list_folder(path, root)

    library = Library(card)
    with monkeypatch.context() as patched:
        patched.setattr(resources.titles.media_folder, "list_folder", fail)
        assert current(library.find("两只老虎")) == "两只老虎"
        with pytest.raises(UnavailableError, match=r"第三集.*cannot be read: Input/output error"):
            library.find("第三集")
    assert current(library.find("第三集")) == "第三集"


def test_a_card_that_cannot_be_read_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: bytes, _root: bytes) -> Listing:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(resources.titles.media_folder, "list_folder", fail)
    with pytest.raises(UnavailableError, match="the media cannot be read: Input/output error"):
        Library(tmp_path).find("song")


def test_a_file_in_place_of_the_media_folder_is_unavailable(tmp_path: Path) -> None:
    make_sounds(tmp_path, "media")
    with pytest.raises(UnavailableError, match="Not a directory"):
        Library(tmp_path / "media").titles()


def test_tracks_are_a_sequence(card: Path) -> None:
    tracks = Library(card).find("Big Album").tracks
    assert isinstance(tracks, Tracks)
    listed = list(tracks)
    assert [tracks[n] for n in range(len(tracks))] == listed
    assert tracks[-1] == listed[-1]
    assert tracks[1:-1] == listed[1:-1]
    assert tracks[::-2] == listed[::-2]
    assert listed[3] in tracks
    for outside in (len(listed), -len(listed) - 1):
        with pytest.raises(IndexError):
            tracks[outside]


def test_a_queue_keeps_what_was_asked_for_while_the_card_changes(card: Path) -> None:
    library = Library(card)
    queue = library.find("CD1")
    (card / "Big Album" / "CD1" / "Track 1.mp3").unlink()
    assert titles(queue) == ["Track 1", "Track 2", "Track 10"]
    assert titles(library.find("CD1")) == ["Track 2", "Track 10"]
