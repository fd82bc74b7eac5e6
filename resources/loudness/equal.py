"""Equal loudness between titles: the gain of each, from what was measured. Decisions only.

Titles are brought to -18 LUFS (the reference of ReplayGain 2), with true peaks of at most -1 dBTP (EBU
R 128): louder targets leave no room for the peaks of most spoken stories, which would then stay behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from machine.gain import LOUDEST_DB
from machine.measure import Measured

TARGET_LUFS = -18.0
PEAK_DBTP = -1.0
# Below this there is nothing to be heard, and noise is not to be made loud (the gate of BS.1770 is -70).
SILENT_LUFS = -60.0
# No recording is quieter by more than this.
QUIETEST_DB = -24.0


def gain_of(measured: Measured) -> float:
    """Return a title's gain in dB: to the target, as far as its peaks allow."""
    if measured.lufs <= SILENT_LUFS or not math.isfinite(measured.lufs):
        return 0.0
    wanted = min(TARGET_LUFS - measured.lufs, PEAK_DBTP - measured.peak, LOUDEST_DB)
    return max(wanted, QUIETEST_DB)


def gain_by_others(gains: Sequence[float]) -> float:
    """Return the gain of a title that is not measured yet, from those of its neighbours.

    It is never made louder: nobody knows its peaks.
    """
    return min(0.0, sorted(gains)[len(gains) // 2]) if gains else 0.0
