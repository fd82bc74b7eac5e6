"""Where the story is now, written every few seconds: two sectors of one small file, in turn.

A row of a database costs 12 KiB and a journal entry of the file system each time, 9 MB an hour on a
card that wears out. Here each write is one sector (512 bytes, past the page cache)
of a file that never grows. A power cut can spoil the sector being written; the other one has the place
before that.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import zlib
from pathlib import Path

from base.files import read_record, write_atomically
from wire.records import dataclass

SECTOR = 512
# Cards and file systems that cannot write less than this.
BLOCK = 4096
_MAGIC = b"BEAT"
# Magic, turn, position and length in milliseconds (length 0: unknown), bytes of the key.
_HEAD = struct.Struct(">4sQQQH")
_SUM = struct.Struct(">I")
KEY_LIMIT = SECTOR - _HEAD.size - _SUM.size


@dataclass(frozen=True, slots=True)
class Beat:
    """A place in a story: its key as bytes, seconds, the length if known; ``turn`` grows."""

    turn: int
    key: bytes
    at: float
    length: float | None


class BeatFile:
    """Two beats on disk; the methods wait for the card, so call them in a thread, one at a time."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet; the file need not exist."""
        self._path = path
        self._descriptor = -1
        self._size = SECTOR
        self._buffer = mmap.mmap(-1, BLOCK)  # in pages, as writing past the cache demands

    def read(self) -> Beat | None:
        """Return the last beat that is whole; raises OSError."""
        try:
            data = read_record(self._path)[: 2 * BLOCK]
        except FileNotFoundError:
            return None
        beats = [_parse(data[start : start + SECTOR]) for start in (0, BLOCK)]
        return max((b for b in beats if b is not None), key=lambda b: b.turn, default=None)

    def write(self, beat: Beat) -> bool:
        """Write a beat; False if its key is too long. It is on the disk on return; raises OSError."""
        if len(beat.key) > KEY_LIMIT:
            return False
        if self._descriptor < 0:
            self._open()
        self._buffer[:SECTOR] = _render(beat)
        try:
            self._write(beat.turn)
        except OSError:
            if self._size == BLOCK:
                raise
            self._size = BLOCK
            self._write(beat.turn)
        return True

    def clear(self) -> None:
        """Forget the beats; what was written before cannot be read any more. Raises OSError."""
        self.close()  # the file is another one then
        if self._path.exists():
            write_atomically(self._path, bytes(2 * BLOCK), mode=0o600)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if not self._path.exists() or self._path.stat().st_size != 2 * BLOCK:
            write_atomically(self._path, bytes(2 * BLOCK), mode=0o600)
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_DSYNC
        try:
            self._descriptor = os.open(self._path, flags | os.O_DIRECT)
        except OSError:  # a file system in memory, or one that encrypts
            self._descriptor = os.open(self._path, flags)

    def _write(self, turn: int) -> None:
        with memoryview(self._buffer)[: self._size] as sector:
            written = os.pwritev(self._descriptor, [sector], turn % 2 * BLOCK)
        if written != self._size:
            raise OSError(0, f"only {written} bytes were written")


def _render(beat: Beat) -> bytes:
    times = (round(beat.at * 1000), round((beat.length or 0.0) * 1000))
    head = _HEAD.pack(_MAGIC, beat.turn, *times, len(beat.key)) + beat.key
    return (head + _SUM.pack(zlib.crc32(head))).ljust(SECTOR, b"\0")


def _parse(sector: bytes) -> Beat | None:
    """Return the beat in a sector, None if there is none or it is damaged."""
    with contextlib.suppress(struct.error):
        magic, turn, at, length, size = _HEAD.unpack_from(sector)
        end = _HEAD.size + size
        if magic == _MAGIC and _SUM.unpack_from(sector, end)[0] == zlib.crc32(sector[:end]):
            return Beat(turn, sector[_HEAD.size : end], at / 1000, length / 1000 or None)
    return None
