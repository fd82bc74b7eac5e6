"""Sound files by name and by content; mpv's and FFmpeg's lists must not pass for sound."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.media import HEAD_SIZE, SOUND_ENDINGS, find_list, sound_ending, tag_size


def archive(kind: str) -> bytes:
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w") as packed:
            packed.writestr("song.mp3", b"\xff\xfb\x90\x64" + bytes(400))
    else:
        with tarfile.open(fileobj=made, mode="w") as packed_tar:
            packed_tar.addfile(tarfile.TarInfo("song.mp3"))
    return made.getvalue()[:HEAD_SIZE]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"#EXTM3U\n/etc/passwd\n", "an m3u playlist"),
        (b"\xef\xbb\xbf\r\n #extm3u\r\n", "an m3u playlist"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:2,\nhttp://h/1.ts\n" + bytes(900), "an m3u playlist"),
        (b"\xff\xfe" + "#EXTM3U\n歌.mp3".encode("utf-16-le"), "an m3u playlist"),
        (b"\xfe\xff" + "[playlist]\n".encode("utf-16-be"), "a pls playlist"),
        (b"# mpv EDL v0\n/secret.wav\n", "an EDL"),
        (b"\n [Playlist]\nFile1=/x\n", "a pls playlist"),
        (b"[Reference]\nRef1=http://h/\n", "an ASX playlist"),
        (b"[InternetShortcut]\nURL=file:///x", "a link"),
        (b'FILE "secret.wav" WAVE\n TRACK 01 AUDIO\n', "a cue sheet"),
        (b'REM x\nTITLE "a"\nFILE "b" WAVE\n' + bytes(600), "a cue sheet"),
        (b"ffconcat version 1.0\nfile 'x'\n", "a concat list"),
        (b'<?xml version="1.0"?><MPD>', "a playlist or page in XML or HTML"),
        (b"<asx version=3>", "a playlist or page in XML or HTML"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\n", "an SDP description"),
        (b"x\x01\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n", "an SDP description"),
        (b"http://h/a.mp3\n", "a link"),
        ("歌/第一首.mp3\n歌/第二首.mp3\n".encode(), "text"),
        ("歌/第一首.mp3\n".encode("gb18030"), "text"),
        (archive("zip"), "a zip archive"),
        (archive("tar"), "a tar archive"),
        (gzip.compress(b"RIFF" + bytes(100), mtime=0), "a gzip file"),
        (b"Rar!\x1a\x07\x01\x00", "a rar archive"),
    ],
)  # fmt: skip
def test_a_list_is_told_from_sound(head: bytes, kind: str) -> None:
    assert find_list(head) == kind


@pytest.mark.parametrize(
    "head",
    [b"", b"\xff\xfb\x90\x64" + bytes(417), b"OggS\x00\x02", b"fLaC\x00\x00\x00\x22", bytes(64),
     b"RIFF\x24\x00\x00\x00WAVEfmt ", b"\x00\x00\x00\x20ftypM4A ", b"\x1a\x45\xdf\xa3\x01", b"#!AMR\n\x3c\x91\x00",
     b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FORM\x00\x00\x00\x2eAIFF", b".snd\x00\x00\x00\x18",
     b"fLaC" + bytes(64) + b'CUESHEET=\nTITLE "x"\nFILE "y" WAVE\n'],
)  # fmt: skip
def test_sound_is_let_through(head: bytes) -> None:
    assert find_list(head) is None


@given(st.binary(min_size=600, max_size=HEAD_SIZE))
def test_any_bytes_are_judged(head: bytes) -> None:
    assert find_list(b"\xff\xfb\x90\x64\x00" + head) is None
    find_list(head)


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.mp3", "mp3"), ("A.M4B", "m4b"), ("a.b.oga", "oga"), (".mp3", None), ("mp3", None),
     ("a.txt", None), ("a.", None), ("歌.WMA", "wma")],
)  # fmt: skip
def test_endings(name: str, ending: str | None) -> None:
    assert sound_ending(name) == ending


def test_the_endings_of_the_issue_are_there() -> None:
    assert {"m4b", "oga", "mka", "mp4", "webm", "aiff", "mp2", "wma"} < SOUND_ENDINGS


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"ID3\x04\x00\x00\x00\x00\x02\x01more", 267),
        (b"ID3\x04\x00\x10\x00\x00\x02\x01more", 277),
        (b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f", 2**28 + 9),
        (b"ID3\x04\x00\x00\x00\x00\x80\x01", 0),
        (b"ID3", 0),
        (b"\xff\xfb\x90\x64\x00\x00\x00\x00\x00\x00", 0),
    ],
)
def test_the_size_of_an_id3_tag(head: bytes, size: int) -> None:
    assert tag_size(head) == size


def test_the_documents_list_is_this_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "titles.md").read_text("utf-8")
    listed = page.partition("<!-- endings: begin -->")[2].partition("<!-- endings: end -->")[0]
    assert listed.split() == sorted(SOUND_ENDINGS)
