"""The document's 17 steps of volume, which a listener hears as equal steps.

Step 16 is full, each one below is 2.5 dB quieter, down to -37.5 dB at step 1; 0 is silence. Levels are
those of `machine.outputs`.
"""

from __future__ import annotations

from machine.outputs import decibels
from wire.story_points import VOLUME_RANGE

STEP_DECIBELS = 2.5
# A level below this is silence: half a step 1 on a quiet mixer is still heard.
SILENT_DECIBELS = -60.0


def level_of(step: int) -> float:
    """Return the level of a step from 0 to 16."""
    if step <= 0:
        return 0.0
    return float(10 ** (STEP_DECIBELS * (step - VOLUME_RANGE.high) / 60))


def step_of(level: float) -> int:
    """Return the step whose level is the nearest; what can be heard is at least 1."""
    gain = decibels(level)
    if gain <= SILENT_DECIBELS:
        return 0
    return min(VOLUME_RANGE.high, max(1, round(VOLUME_RANGE.high + gain / STEP_DECIBELS)))
