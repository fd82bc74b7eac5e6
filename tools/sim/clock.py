"""The one clock: seconds that pass only when the simulation lets them.

Each machine's time of day is this clock's with an offset of its own, its time since boot begins at its
boot. The functions of `time` are replaced for the whole process, before anything of ours is imported.
"""

from __future__ import annotations

import time

from tools.sim.life import current

# 2026-12-01 06:00 UTC: a machine that was made a week after the code.
START = 1_796_104_800.0


class Clock:
    """The true time, in seconds since the simulation's start."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.now = 0.0

    def reset(self) -> None:
        """Begin anew, for the next seed."""
        self.now = 0.0

    def time(self) -> float:
        """Return the time of day of the machine whose code runs, Unix seconds."""
        life = current()
        return START + self.now + (0.0 if life is None else life.wall_offset)

    def monotonic(self) -> float:
        """Return the seconds since the start, plus a day: no process is as old as its clock."""
        return 86400.0 + self.now

    def since_boot(self) -> float:
        """Return the seconds since the boot of the machine whose code runs."""
        life = current()
        return self.now - (-86400.0 if life is None else life.booted_at)

    def clock_gettime(self, which: int) -> float:
        """As time.clock_gettime."""
        if which == time.CLOCK_BOOTTIME:
            return self.since_boot()
        return self.time() if which == time.CLOCK_REALTIME else self.monotonic()

    def install(self) -> None:
        """Replace the functions of `time` for the rest of the process; `sleep` is the threads' business."""
        time.time = self.time
        time.time_ns = lambda: int(self.time() * 1e9)
        time.monotonic = time.perf_counter = self.monotonic
        time.monotonic_ns = time.perf_counter_ns = lambda: int(self.monotonic() * 1e9)
        time.clock_gettime = self.clock_gettime
        time.clock_gettime_ns = lambda which: int(self.clock_gettime(which) * 1e9)
