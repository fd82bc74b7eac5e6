"""Levels that were heard, without the gaps that a sound server on a busy machine leaves."""

from __future__ import annotations

from collections.abc import Sequence


def without_gaps(levels: Sequence[float], floor: float) -> list[float]:
    """Return the levels in dB without those below ``floor`` and their neighbours, which are partly silent."""
    around = [floor + 1.0, *levels, floor + 1.0]
    return [level for place, level in enumerate(levels) if min(around[place : place + 3]) > floor]
