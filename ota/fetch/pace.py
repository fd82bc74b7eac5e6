"""The pace of a download: not slower than a minimum, not faster than a limit. No I/O and no clock."""

from __future__ import annotations

from ota.errors import FetchError

READ_SIZE = 512 * 1024


class LowSpeed:
    """Detects a server that is too slow; the caller passes the time (seconds) in."""

    def __init__(self, low_speed: int, window: float, now: float) -> None:
        """Require ``low_speed`` bytes per second in each ``window`` (seconds), from ``now`` on."""
        self._least = low_speed * window
        self._window = window
        self._start = now
        self._bytes = 0

    def add(self, size: int, now: float) -> None:
        """Count ``size`` bytes received by ``now``; raises FetchError if it is too slow."""
        self._bytes += size
        if now - self._start >= self._window:
            if self._bytes < self._least:
                took = f"{self._bytes} bytes in {now - self._start:.0f} s"
                raise FetchError(f"too slow: {took}")
            self._start, self._bytes = now, 0


class Pacer:
    """Limits the rate of a download; the caller passes the time (seconds) in."""

    def __init__(self, max_rate: int, now: float) -> None:
        """Allow ``max_rate`` bytes per second on average, from ``now`` on; 0: no limit."""
        self._max_rate = max_rate
        self._start = now
        self._bytes = 0
        # With a limit, read ten small pieces a second: progress is visible and a stop is quick.
        self.piece = min(READ_SIZE, max(1, max_rate // 10)) if max_rate else READ_SIZE

    def add(self, size: int, now: float) -> float:
        """Count ``size`` bytes and return how many seconds to wait before the next piece."""
        self._bytes += size
        if not self._max_rate:
            return 0.0
        return max(0.0, self._start + self._bytes / self._max_rate - now)
