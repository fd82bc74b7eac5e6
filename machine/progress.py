"""How far a source has been played, and what its end means: decisions without I/O."""

from __future__ import annotations

from enum import Enum, auto

from wire.records import dataclass

# A duration is an estimate for many files, and the position is read twice a second.
END_SECONDS = 2.0
END_PART = 0.02
# Tags behind the sound are not read.
END_BYTES = 64 * 1024
# A server without ranges sends the beginning instead of the rest (RFC 9110, section 14.2).
START_SECONDS = 3.0
# Who goes beyond the end hears this much, and then what follows.
LAST_SECONDS = 1.0
# Tries in a row that have played nothing new, and the seconds before each.
BACK_OFF = (0.0, 0.5, 1.0, 2.0)
# A try that has played this much has helped.
HELPED_SECONDS = 1.0


@dataclass(slots=True)
class Progress:
    """What is known of the source that plays.

    Attributes:
        at: the last position that was heard, in seconds.
        duration: the source's length in seconds, None if unknown.
        read: the bytes of the source that were read, None if unknown.
        size: the bytes of the source, None if unknown.
    """

    at: float = 0.0
    duration: float | None = None
    read: int | None = None
    size: int | None = None

    @property
    def is_cut(self) -> bool:
        """Whether an end at this place is not the source's end.

        A duration alone does not tell: it is estimated from the first frames of an MP3 without an
        index. If the size is known, bytes must be missing too.
        """
        if self.duration is None:
            return False
        if self.at >= self.duration - max(END_SECONDS, END_PART * self.duration):
            return False
        return self.size is None or self.read is None or self.read < self.size - END_BYTES

    def clamp(self, seconds: float) -> float:
        """Return a place to go to: not before the beginning, at most the last second."""
        last = seconds if self.duration is None else self.duration - LAST_SECONDS
        return max(0.0, min(seconds, last))

    def describe(self) -> str:
        """Return ``12.3 s of 96.0 s``."""
        of = "" if self.duration is None else f" of {self.duration:.1f} s"
        return f"{self.at:.1f} s{of}"


class End(Enum):
    """What to do after a source's end."""

    FINISHED = auto()
    """It was played to its end."""
    CUT = auto()
    """More of it may be there: go on at the position."""
    FAILED = auto()
    """It cannot be played any further."""


def judge_end(reason: str, progress: Progress, *, stream: bool) -> End:
    """Return what mpv's ``end-file`` with ``reason`` means.

    Args:
        reason: mpv's word: ``eof``, ``error``, ``stop``, ``quit``, ``redirect`` or ``unknown``.
        progress: the source's state.
        stream: whether the source is a URL, whose transfer can be asked for again.
    """
    if reason == "eof":
        return End.CUT if stream and progress.is_cut else End.FINISHED
    return End.CUT if stream and reason == "error" else End.FAILED


def is_beginning_instead(wanted: float, position: float | None) -> bool:
    """Return whether a source that was to start at ``wanted`` seconds started at its beginning."""
    return wanted > START_SECONDS and (position or 0.0) < wanted - START_SECONDS


class Tries:
    """Counts the tries in a row that have not played anything new."""

    def __init__(self) -> None:
        self._count = 0
        self._reached = 0.0

    def next_wait(self, at: float) -> float | None:
        """Return the seconds to wait before a try at the position ``at``, None after the last."""
        if at >= self._reached + HELPED_SECONDS:
            self._count = 0
        self._reached = max(self._reached, at)
        if self._count == len(BACK_OFF):
            return None
        wait = BACK_OFF[self._count]
        self._count += 1
        return wait
