"""Tells which Speex frames libspeex would complain about: it prints to the process's own stderr, past every limit of a log.

A frame is one narrowband layer, after requests and wideband layers that are skipped, and for a wideband decoder one wideband
layer. The walk over them, and what is refused, are those of libspeex 1.2 (nb_celp.c, sb_celp.c, speex_callbacks.c); where its
versions differ, what any of them complains about is refused. No I/O.
"""

from __future__ import annotations

# What libspeex's own buffer holds; it prints about a longer one too. A 20 ms frame has 106 bytes at most.
LONGEST_BYTES = 2000
# Bits of a layer with its marks, by its mode.
_NARROW = (5, 43, 119, 160, 220, 300, 364, 492, 79)
_WIDE = {1: 36, 2: 112, 3: 192, 4: 352}
_MARK, _NARROW_MODE, _WIDE_MODE = 1, 4, 3
_WIDE_MARKS = _MARK + _WIDE_MODE
_ODD, _USER_REQUEST, _REQUEST, _END = 9, 13, 14, 15
# What is left before a layer can begin.
_LEAST = _MARK + _NARROW_MODE
_WIDE_LIMIT = 2
# Bits of a request by its number: below the first of a pair the second.
_REQUESTS = ((2, 1), (8, 4), (10, 8), (12, 16), (14, 32), (16, 64))


class _Reader:
    """The bits of a frame; what lies behind its end is 0, and there is nothing left then."""

    def __init__(self, frame: bytes) -> None:
        self._bits, self._count, self._at = int.from_bytes(frame, "big"), 8 * len(frame), 0

    def skip(self, count: int) -> None:
        self._at += count

    def read(self, count: int) -> int:
        self._at += count
        left = self.left()
        return 0 if left < 0 else self._bits >> left & ((1 << count) - 1)

    def left(self) -> int:
        return self._count - self._at


def is_odd(frame: bytes, *, wideband: bool) -> bool:
    """Return whether libspeex would print something about a frame; ``wideband``: whether its decoder is one of 16,000 samples/s."""
    if len(frame) > LONGEST_BYTES:
        return True
    reader = _Reader(frame)
    mode = _narrow_mode(reader)
    if mode >= len(_NARROW):
        return mode != _END
    reader.skip(_NARROW[mode] - _LEAST)
    if not wideband or reader.left() <= 0 or not reader.read(_MARK):
        return False
    wide = reader.read(_WIDE_MODE)
    return wide != 0 and wide not in _WIDE


def _narrow_mode(reader: _Reader) -> int:
    """Return the mode of the narrowband layer, `_END` if there is none."""
    while reader.left() >= _LEAST:
        if _skip_wide(reader):
            return _ODD
        if reader.left() < _NARROW_MODE:
            break
        mode = reader.read(_NARROW_MODE)
        if mode == _REQUEST:
            number = reader.read(4)
            reader.skip(next(bits for below, bits in _REQUESTS if number < below))
        elif mode == _USER_REQUEST:
            reader.skip(5 + 8 * reader.read(4))
        else:
            return mode
    return _END


def _skip_wide(reader: _Reader) -> bool:
    """Read the mark of a narrowband layer, and what wideband layers lie before it; return whether they are odd."""
    for _ in range(_WIDE_LIMIT):
        if reader.left() < _MARK or not reader.read(_MARK):
            return False
        mode = reader.read(_WIDE_MODE)
        if mode not in _WIDE:
            return True
        reader.skip(_WIDE[mode] - _WIDE_MARKS)
        if reader.left() < _LEAST:
            return False
    return bool(reader.read(_MARK))
