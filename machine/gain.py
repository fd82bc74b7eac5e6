"""How loud one source is against the machine's own level: its gain in dB, and a fade on top of it.

Computing without I/O. mpv's volume is cubic: v % is 60 log10(v / 100) dB (mpv's manual, ``--volume``),
so that -20 dB is 46.
"""

from __future__ import annotations

from collections.abc import Callable

from wire.records import dataclass

# Below this nothing of a story is heard in a child's room: it is silence.
SILENT_DB = -60.0
# Titles that are recorded too quietly get at most this; mpv's own limit is `machine.mpv_options.VOLUME_MAX`.
LOUDEST_DB = 24.0
# A change of this much is heard as no step; a fade of 25 s takes 120 of them, 0.2 s each.
STEP_DB = 0.5
# The shortest time between two steps: mpv's answer takes 1 ms, and its buffer is longer than this.
STEP_SECONDS = 0.02


def to_volume(db: float, percent: float = 100.0) -> float:
    """Return mpv's volume for a gain of ``db``, times ``percent`` of the machine's volume."""
    return 0.0 if db <= SILENT_DB else percent * 10.0 ** (min(db, LOUDEST_DB) / 60.0)


@dataclass(frozen=True, slots=True)
class Fade:
    """A change that is linear in dB, and so sounds even.

    Attributes:
        begin_db: the level at its begin, in dB over the source's gain.
        end_db: the level at its end.
        begun: when, by a monotonic clock in seconds.
        seconds: how long it takes.
    """

    begin_db: float = 0.0
    end_db: float = 0.0
    begun: float = 0.0
    seconds: float = 0.0

    def db(self, now: float) -> float:
        """Return the level at ``now``."""
        if now >= self.begun + self.seconds:
            return self.end_db
        part = max(0.0, now - self.begun) / self.seconds
        return self.begin_db + (self.end_db - self.begin_db) * part

    def next_step(self, now: float) -> float | None:
        """Return the seconds until the next step, None if the fade is over."""
        left = self.begun + self.seconds - now
        if left <= 0:
            return None
        steps = abs(self.end_db - self.begin_db) / STEP_DB
        return min(left, max(STEP_SECONDS, self.seconds / max(steps, 1.0)))


class Gain:
    """The gain of the source that plays."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin at 0 dB; ``clock`` gives monotonic seconds."""
        self._clock = clock
        self._db = 0.0
        self._percent = 100.0
        self.fade = Fade()
        """What goes on, or went on last; a new one each time, so that its owner knows it."""

    @property
    def volume(self) -> float:
        """The volume for mpv now."""
        return to_volume(self._db + self.fade.db(self._clock()), self._percent)

    def begin(self, db: float, percent: float, *, keep_fade: bool) -> None:
        """Take the gain of a new source; a fade that runs is over unless it is kept."""
        self._db = db
        self._percent = percent
        if not keep_fade:
            self.fade = Fade()

    def set(self, db: float) -> None:
        """Take another gain for the same source, at once."""
        self._db = db

    def begin_fade(self, to_db: float, seconds: float) -> Fade:
        """Fade from the present level to ``to_db`` over the source's gain."""
        now = self._clock()
        self.fade = Fade(self.fade.db(now), to_db, now, max(0.0, seconds))
        return self.fade

    def hold(self) -> None:
        """End a fade where it is."""
        level = self.fade.db(self._clock())
        self.fade = Fade(level, level)

    def next_step(self) -> float | None:
        """Return the seconds until the fade's next step, None if it is over."""
        return self.fade.next_step(self._clock())
