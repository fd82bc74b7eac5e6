"""The look into a file before it is played, on real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from machine.errors import RefusedError
from resources.titles.sound_file import check_sound
from tests.conftest import write_tone
from tests.resources.parts import SOUND

TAG = b"ID3\x04\x00\x00\x00\x00\x27\x10" + bytes(5008)
LIST = b"#EXTM3U\n/etc/hostname\n"


@pytest.mark.parametrize("content", [SOUND, TAG + SOUND, TAG + TAG + SOUND, TAG, bytes(9)])
def test_sound_is_let_through(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "song.mp3").write_bytes(content)
    check_sound(str(tmp_path / "song.mp3"))
    check_sound(str(write_tone(tmp_path / "tone.wav", seconds=0.1)))


@pytest.mark.parametrize(
    "content", [LIST, TAG + LIST, TAG * 3 + LIST, TAG + b"\xef\xbb\xbf" + LIST]
)
def test_a_playlist_is_refused_also_behind_tags(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "song.mp3").write_bytes(content)
    expected = (
        r'^play: "song\.mp3" cannot be played: its content is an m3u playlist, expected sound'
    )
    with pytest.raises(RefusedError, match=expected):
        check_sound(str(tmp_path / "song.mp3"))


def test_what_went_or_was_replaced_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "empty.mp3").touch()
    for name, reason in {
        "gone": "No such file", "pipe": "it is no file", "folder": "it is no file", "empty": "it is empty",
    }.items():  # fmt: skip
        with pytest.raises(RefusedError, match=f'^play: "{name}.mp3" cannot be read: {reason}'):
            check_sound(str(tmp_path / f"{name}.mp3"))


def test_a_name_that_is_no_utf_8_can_be_told(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be read"):
        check_sound(str(tmp_path / os.fsdecode(b"\xb9\xca.mp3")))
