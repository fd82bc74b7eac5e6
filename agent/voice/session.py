"""One time of listening: how it went, and how it ended."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from wire.answers import Result
from wire.family import Why
from wire.records import dataclass


class End(StrEnum):
    """How one time of listening ended."""

    SENT = "sent"
    """The cloud has all of it."""
    NOTHING = "nothing"
    """Nobody spoke."""
    CANCELLED = "cancelled"
    MUTED = "muted"
    REFUSED = "refused"
    """The parents' hours or minutes: the microphone was not opened."""
    FAULT = "fault"
    """The microphone, or the codec's libraries."""
    LOST = "lost"
    """No cloud, or one that is slower than speech."""


class ListeningError(Exception):
    """The machine listens already."""


@dataclass(slots=True)
class Session:
    """One time of listening; times are seconds since it began.

    Attributes:
        end: how it ended.
        reason: of a fault or a refusal, for people.
        id: the utterance's number, None if nobody spoke.
        answered: whether the cloud sent an order after it, or answered it.
        result: what the cloud has answered, None if it has not.
        times: when what happened first: opened, began, first_segment, ended, sent, answered.
        why: what opened the microphone.
        open_seconds: for how long it was open.
        spoken_seconds, size: how long what was sent is, in seconds and in bytes.
        elapsed: how long it took until it was over, or the next one began.
    """

    end: End = End.CANCELLED
    reason: str = ""
    id: int | None = None
    segments: int = 0
    answered: bool = False
    result: Result | None = None
    times: dict[str, float] = field(default_factory=dict)
    why: Why = Why.BUTTON
    open_seconds: float = 0.0
    spoken_seconds: float = 0.0
    size: int = 0
    elapsed: float = 0.0

    def to_json(self) -> dict[str, object]:
        """Render for the local API."""
        return {
            "end": str(self.end), "reason": self.reason or None, "id": self.id,
            "segments": self.segments, "answered": self.answered,
            "answer": None if self.result is None else str(self.result), "seconds": self.seconds,
        }  # fmt: skip

    @property
    def seconds(self) -> dict[str, float]:
        """The times, to the millisecond."""
        return {name: round(at, 3) for name, at in self.times.items()}
