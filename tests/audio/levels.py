"""The level of a tone in samples, for tests of sound."""

from __future__ import annotations

import array
import math


def power_at(samples: array.array[int], rate: int, hertz: float) -> float:
    """Return how much of the sound's power is at one frequency (1.0: a pure sine; Goertzel's sum)."""
    turn = 2 * math.pi * hertz / rate
    real = sum(s * math.cos(turn * n) for n, s in enumerate(samples))
    imaginary = sum(s * math.sin(turn * n) for n, s in enumerate(samples))
    total = sum(s * s for s in samples)
    return 2 * (real * real + imaginary * imaginary) / (len(samples) * total)
