"""The line in which cues wait to be heard: short, without repetition, and never late. No I/O; time is handed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from resources.announce.cues import MANNERS, Cue, Saying
from wire.records import dataclass

# More prompts in a row are noise; the oldest makes room.
WAITING_LIMIT = 3
# Seconds after which nobody knows any more what a cue was the answer to.
LATE_SECONDS = 6.0
# Somebody who presses a button ten times hears why once, then again after this.
REPEAT_SECONDS = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A cue's place in the line.

    Attributes:
        saying: what is to sound.
        since: when it was taken.
        tell: called once, with whether it was heard to its end.
    """

    saying: Saying
    since: float
    tell: Callable[[bool], None]


class Line:
    """What waits, what sounds, and what has sounded; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._waiting: deque[Ticket] = deque()
        self._sounding: Ticket | None = None
        self._ended: dict[Cue, float] = {}

    def __len__(self) -> int:
        """Return how many cues wait."""
        return len(self._waiting)

    @property
    def sounding(self) -> Saying | None:
        """What sounds now."""
        return self._sounding.saying if self._sounding else None

    def offer(self, saying: Saying, now: float, tell: Callable[[bool], None]) -> bool:
        """Let a cue wait; return whether it is taken. ``tell`` is called only for one that is."""
        if self._is_repeated(saying, now):
            return False
        if MANNERS[saying.name].at_once:
            self.clear()
        while len(self._waiting) >= WAITING_LIMIT:
            self._waiting.popleft().tell(False)
        self._waiting.append(Ticket(saying, now, tell))
        return True

    def take(self, now: float) -> Saying | None:
        """Begin with the next cue that is not late; None if none waits."""
        while self._waiting and self._sounding is None:
            ticket = self._waiting.popleft()
            if now - ticket.since <= LATE_SECONDS:
                self._sounding = ticket
            else:
                ticket.tell(False)
        return self.sounding

    def end(self, now: float, *, heard: bool) -> None:
        """Note that what sounded has ended."""
        if self._sounding is not None:
            self._ended[self._sounding.saying.name] = now
            self._sounding.tell(heard)
            self._sounding = None

    def clear(self) -> None:
        """Drop what waits; what sounds is left."""
        while self._waiting:
            self._waiting.popleft().tell(False)

    def _is_repeated(self, saying: Saying, now: float) -> bool:
        """Return whether the same cue waits, sounds, or was a sentence just now."""
        if MANNERS[saying.name].at_once:
            return False
        ended = self._ended.get(saying.name)
        just = saying.spoken and ended is not None and now - ended < REPEAT_SECONDS
        waiting = {ticket.saying.name for ticket in self._waiting}
        return just or saying.name in waiting or saying == self.sounding
