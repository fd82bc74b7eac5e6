"""What the faults of a link do to the bytes on it: how fast, how late, held, or cut. No I/O, no clock of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from staging.bench.faults import BOTH, TO_CLOUD, TO_DEVICE, Fault

# A slow link passes on pieces of a tenth of a second, and not a byte at a time.
PIECES_PER_SECOND = 10
PIECE_MIN = 16


class Way(StrEnum):
    """A direction on a link."""

    DOWN = TO_DEVICE
    UP = TO_CLOUD


@dataclass(frozen=True, slots=True)
class Shape:
    """What happens to the bytes in one direction; the default is a link without faults.

    Attributes:
        rate: bytes a second; 0: as fast as they come.
        delay: seconds until what was sent arrives.
        jitter: up to so many seconds more; the order stays.
        held: nothing passes.
    """

    rate: int = 0
    delay: float = 0.0
    jitter: float = 0.0
    held: bool = False

    @property
    def is_clear(self) -> bool:
        """Whether bytes pass as without the bench."""
        return not (self.rate or self.delay or self.jitter or self.held)


CLEAR = Shape()


def shape_of(faults: Mapping[str, Fault], way: Way) -> Shape:
    """Return what a device's faults do in one direction."""

    def acting(name: str) -> Fault | None:
        fault = faults.get(name)
        if fault is None or fault.values.get("way", BOTH) not in {BOTH, way.value}:
            return None
        return fault

    slow, late = acting("slow"), acting("delay")
    return Shape(
        rate=slow.number_of("bytes_per_second") if slow else 0,
        delay=late.number_of("ms") / 1000 if late else 0.0,
        jitter=late.number_of("jitter_ms") / 1000 if late else 0.0,
        held=acting("half_open") is not None,
    )


class Pace:
    """When bytes that come now may go on in one direction."""

    def __init__(self, seed: int = 0) -> None:
        """Start with a free link; ``seed`` decides the jitter."""
        self._free = 0.0
        self._last = 0.0
        self._random = random.Random(seed)  # noqa: S311  # no secret

    def pieces(self, data: bytes, shape: Shape, now: float) -> Iterator[tuple[float, bytes]]:
        """Yield the pieces of ``data`` with the time at which each arrives; times never decrease."""
        size = len(data) if not shape.rate else max(PIECE_MIN, shape.rate // PIECES_PER_SECOND)
        for start in range(0, len(data), max(size, 1)):
            piece = data[start : start + size]
            yield self._due(len(piece), shape, now), piece

    def _due(self, size: int, shape: Shape, now: float) -> float:
        self._free = max(now, self._free)
        if shape.rate:
            self._free += size / shape.rate
        due = self._free + shape.delay + self._random.random() * shape.jitter
        self._last = max(self._last, due)
        return self._last

    def restart(self, now: float) -> None:
        """Forget what was planned, because the faults have changed."""
        self._free = self._last = now
