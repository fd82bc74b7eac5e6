"""The place in a story, on the disk every few seconds."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from resources.playing.beat_file import Beat, BeatFile

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEY_LIMIT = 478
BLOCK = 4096
SECTOR = 512


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "playing.beat"


def beat(turn: int, at: float = 1.5) -> Beat:
    return Beat(turn, "儿歌/两只老虎.mp3".encode(), at, 60.0)


def write(path: Path, *beats: Beat) -> None:
    file = BeatFile(path)
    for one in beats:
        assert file.write(one)
    file.close()


def test_a_beat_is_on_the_card_when_it_is_written(path: Path) -> None:
    """The kernel waits for the card at each write: nothing syncs the file afterwards."""
    file = BeatFile(path)
    assert file.write(beat(1))
    assert fcntl.fcntl(file._descriptor, fcntl.F_GETFL) & os.O_DSYNC
    file.close()


def test_the_last_beat_is_read_again(path: Path) -> None:
    assert BeatFile(path).read() is None
    write(path, beat(1), beat(2), beat(3, at=123.456))
    assert BeatFile(path).read() == beat(3, at=123.456)
    assert path.stat().st_size == 2 * BLOCK  # it never grows
    write(path, Beat(4, b"\xff\xfe", 0.0, None))
    assert BeatFile(path).read() == Beat(4, b"\xff\xfe", 0.0, None)


@pytest.mark.parametrize("place", [0, 5, 20, 40])
def test_a_beat_that_a_power_cut_spoiled_costs_only_itself(path: Path, place: int) -> None:
    write(path, beat(6), beat(7))
    data = bytearray(path.read_bytes())
    data[BLOCK + place] ^= 0x55
    path.write_bytes(data)
    assert BeatFile(path).read() == beat(6)
    path.write_bytes(bytes(100))
    assert BeatFile(path).read() is None
    write(path, beat(8))  # and the next one is written over whatever is there
    assert BeatFile(path).read() == beat(8)


def test_a_key_that_does_not_fit_is_left_to_the_database(path: Path) -> None:
    file = BeatFile(path)
    assert not file.write(Beat(1, b"x" * (KEY_LIMIT + 1), 0.0, None))
    assert not path.exists()
    assert file.write(Beat(1, b"x" * KEY_LIMIT, 0.0, None))
    assert file.read() == Beat(1, b"x" * KEY_LIMIT, 0.0, None)
    file.close()


def test_a_card_that_writes_larger_blocks_and_one_with_a_cache_are_written_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real_open, real_write = os.open, os.pwritev

    def no_direct(name: Path, flags: int, *more: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no")
        return real_open(name, flags, *more)

    def in_blocks(descriptor: int, parts: list[memoryview], place: int) -> int:
        sizes.append(len(parts[0]))
        if len(parts[0]) < BLOCK:
            raise OSError(errno.EINVAL, "no")
        return real_write(descriptor, parts, place)

    monkeypatch.setattr(os, "open", no_direct)
    monkeypatch.setattr(os, "pwritev", in_blocks)
    write(path, beat(1), beat(2))
    assert sizes == [SECTOR, BLOCK, BLOCK]
    assert BeatFile(path).read() == beat(2)


def test_a_disk_that_fails_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = BeatFile(path)
    assert file.write(beat(1))

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "pwritev", fail)
    with pytest.raises(OSError, match="no"):
        file.write(beat(2))
    monkeypatch.setattr(os, "pwritev", lambda *_: 7)
    with pytest.raises(OSError, match="only 7 bytes"):
        file.write(beat(2))
    file.close()
