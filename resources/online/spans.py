"""Which bytes of a story are there: a set of ranges that do not touch, without I/O."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class Spans:
    """Ranges of bytes, each from its first byte to the one behind its last.

    One thread may add while others read.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with ``ranges``, in any order; they may overlap."""
        self._ranges: list[tuple[int, int]] = []
        for first, end in ranges:
            self.add(first, end)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges in order."""
        return list(self._ranges)

    @property
    def total(self) -> int:
        """How many bytes are there."""
        return sum(end - first for first, end in self._ranges)

    @property
    def end(self) -> int:
        """The place behind the last byte, 0 if there is none."""
        ranges = self._ranges
        return ranges[-1][1] if ranges else 0

    def add(self, first: int, end: int) -> None:
        """Add the bytes from ``first`` to before ``end``; adds nothing if there are none."""
        if end <= first:
            return
        ranges = self._ranges
        low = bisect_left(ranges, first, key=lambda item: item[1])
        high = bisect_right(ranges, end, key=lambda item: item[0])
        if low < high:
            first = min(first, ranges[low][0])
            end = max(end, ranges[high - 1][1])
        self._ranges = [*ranges[:low], (first, end), *ranges[high:]]

    def run(self, at: int) -> int:
        """Return how many bytes there are from ``at`` on without a gap."""
        ranges = self._ranges
        place = bisect_right(ranges, at, key=lambda item: item[0]) - 1
        return max(0, ranges[place][1] - at) if place >= 0 else 0

    def gap(self, at: int) -> int:
        """Return the first byte from ``at`` on that is missing."""
        return at + self.run(at)
