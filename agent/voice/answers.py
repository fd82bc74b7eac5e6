"""What becomes of an answer of the cloud: decisions only (docs/listening.md, "The answer").

An answer belongs to one utterance. The one that is waited for decides how listening ends; one that comes later,
because a person has typed it, is still told; any other is counted and means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from agent.voice.states import Event
from resources.announce.cues import Cue
from wire.answers import Result, Title

# Seconds after its end in which an utterance's answer is still told; nobody waits for one after it.
LATE_SECONDS = 60.0

EVENTS: Mapping[Result, Event] = {
    Result.DONE: Event.ANSWERED,
    Result.NOT_UNDERSTOOD: Event.NOT_UNDERSTOOD,
    Result.NOT_FOUND: Event.NOT_FOUND,
    Result.REFUSED: Event.REFUSED,
    Result.FAILED: Event.REFUSED,
}
"""What an answer that is waited for means; with titles that can be said, `Event.OFFERED` is in NOT_FOUND's place."""

LATER: Mapping[Result, Cue] = {
    Result.DONE: Cue.DONE,
    Result.NOT_UNDERSTOOD: Cue.NOT_UNDERSTOOD,
    Result.NOT_FOUND: Cue.NOT_FOUND,
    Result.REFUSED: Cue.ERROR,
    Result.FAILED: Cue.ERROR,
}
"""What is heard of one that comes later, beside the story: the microphone is not opened again for it."""


class Use(StrEnum):
    """What an answer is good for; all but the first two are counted in ``status``."""

    AWAITED = "awaited"
    """It ends the waiting."""
    DONE = "done"
    """It says that the order has been carried out, which has ended the waiting."""
    LATE = "late"
    """Nobody waits any more; it is told."""
    TOO_LATE = "too_late"
    AGAIN = "again"
    """The utterance was answered before."""
    OTHER = "other"
    """It is of no utterance that was said here last, or of one that was dropped."""


class AnswerBook:
    """Which utterance was said last, and whether it was answered; times are monotonic seconds."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._since = 0.0
        self._sent = False
        self._ordered = False
        self._answered = False
        self.counts: dict[str, int] = {}
        """How many answers there were of each result, and of each use but AWAITED and DONE."""

    def begin(self, number: int, now: float) -> None:
        """Note that the utterance ``number`` has begun."""
        self._last, self._since = number, now
        self._sent = self._ordered = self._answered = False

    def end(self, now: float) -> None:
        """Note that the cloud has all of it. What was dropped has no answer."""
        self._since, self._sent = now, True

    def order(self) -> None:
        """Note that an order came which ended the waiting."""
        self._ordered = True

    def use(self, number: int, result: Result, now: float, *, waits: bool) -> Use:
        """Decide on an answer, and count it; ``waits``: listening has not ended yet."""
        found = self._use(number, result, now, waits=waits)
        for name in (str(result), *([] if found in {Use.AWAITED, Use.DONE} else [str(found)])):
            self.counts[name] = self.counts.get(name, 0) + 1
        return found

    def _use(self, number: int, result: Result, now: float, *, waits: bool) -> Use:
        if number != self._last or not (self._sent or waits):
            return Use.OTHER
        if self._answered:
            return Use.AGAIN
        self._answered = True
        if waits:
            return Use.AWAITED
        if now - self._since > LATE_SECONDS:
            return Use.TOO_LATE
        return Use.DONE if self._ordered and result is Result.DONE else Use.LATE


class Namer(Protocol):
    """Says the names of titles (`agent.voice.names`)."""

    def can_tell(self, titles: Sequence[Title]) -> bool:
        """Return whether the machine can say all of these names."""

    async def tell(self, titles: Sequence[Title]) -> bool:
        """Say that there is no such title, and these names; return whether it was heard to its end."""


class NoNamer:
    """For a machine that says no names."""

    def can_tell(self, titles: Sequence[Title]) -> bool:
        """Return False."""
        del titles
        return False

    async def tell(self, titles: Sequence[Title]) -> bool:
        """Say nothing."""
        del titles
        return False
