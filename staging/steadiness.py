"""Whether this machine's clock may be believed where something is deleted by it. No I/O.

A clock that is once nine years ahead would otherwise end every token, nonce and report at once, and nothing
brings them back. So what deletes waits until the clock has gone evenly for a day, unless it goes on from a
time that was noted before. What it costs: rows that stay a day longer.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_MS = 86_400_000
# A step of this size is no correction by the network's time.
STEP_MS = 3_600_000
# How long a cloud may have been off: a longer time looks like a clock that is ahead.
OFF_MS = 60 * DAY_MS


@dataclass(slots=True)
class _Reading:
    wall: int
    monotonic: float


class Steadiness:
    """Compares the wall clock with one that nobody sets, and with a time that was noted before."""

    def __init__(self, noted: int | None, wall: int, monotonic: float) -> None:
        """Begin at ``wall`` (ms) and ``monotonic`` (s); ``noted`` is the last time believed before, in ms."""
        goes_on = noted is not None and -STEP_MS <= wall - noted <= OFF_MS
        self._last = _Reading(wall, monotonic)
        self._even_since = monotonic - (DAY_MS / 1000 if goes_on else 0)

    def note(self, wall: int, monotonic: float) -> bool:
        """Take a reading of both clocks; return whether the wall clock has made a step since the last one."""
        passed = (monotonic - self._last.monotonic) * 1000
        stepped = abs(wall - self._last.wall - passed) > STEP_MS
        if stepped:
            self._even_since = monotonic
        self._last = _Reading(wall, monotonic)
        return stepped

    @property
    def believed(self) -> bool:
        """Whether the wall clock has gone evenly for a day, or goes on from a time believed before."""
        return self._last.monotonic - self._even_since >= DAY_MS / 1000
