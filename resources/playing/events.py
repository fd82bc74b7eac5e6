"""What the teller tells those who listen to it, and what it asks before it plays: small frozen facts."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from machine.errors import RefusedError, UnavailableError
from resources.playing.orders import Order
from resources.playing.queue import Track
from wire.records import dataclass


class Kind(StrEnum):
    """Why nothing happened, in kinds that a child can be told."""

    NOT_FOUND = "not_found"
    """There is no such title."""
    NO_NETWORK = "no_network"
    """It is on the network, and that does not answer."""
    BROKEN_OFF = "broken_off"
    """It cannot be played, or not any further."""
    NOT_ALLOWED = "not_allowed"
    """The parents' rules refuse it now."""
    LOCKED = "locked"
    """The child lock is on."""
    NOTHING = "nothing"
    """There is nothing to do it with: no story plays, or no further one is there."""


class RefusedOrderError(RefusedError):
    """An order is refused, by a gate for example.

    Attributes:
        kind: why.
    """

    def __init__(self, kind: Kind, text: str) -> None:
        """Refuse for the reason ``kind``; ``text`` is the answer."""
        super().__init__(text)
        self.kind = kind


class AwayError(UnavailableError):
    """What was ordered is on the network, and that does not answer."""


class Gate(Protocol):
    """Asked before an order starts or resumes anything: the parents' rules, the child lock."""

    def check(self, order: Order) -> None:
        """Return if ``order`` may play; raises RefusedOrderError."""


class Keeper(Protocol):
    """Keeps stories of the web for later."""

    async def __call__(self, url: str, *, pinned: bool) -> None:
        """Keep the story at ``url``, or treat it as any other again; raises RefusedError."""


async def keep_nothing(url: str, *, pinned: bool) -> None:
    """Refuse: there is nothing that keeps stories."""
    del url, pinned
    raise RefusedError("play: this machine keeps no stories of the web")


class AtEnd(Protocol):
    """Asked between two tracks: the sleep timer, the parents' rules."""

    def goes_on(self, ended: Ended) -> bool:
        """Return whether another track may follow ``ended``; each is asked at each end."""


class State(StrEnum):
    """What the teller does."""

    IDLE = "idle"
    LOADING = "loading"
    PLAYING = "playing"
    PAUSED = "paused"
    WAITING = "waiting"
    """A story is there and would play, but there is no sound device or somebody is listening."""


@dataclass(frozen=True, slots=True)
class Started:
    """A track plays."""

    track: Track


@dataclass(frozen=True, slots=True)
class Ended:
    """A track plays no longer.

    Attributes:
        track: the one that played.
        finished: whether it was played to its own end.
        reason: why it broke off, None if an order ended it or it is finished.
    """

    track: Track
    finished: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """An order paused the track."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """An order let a paused track go on."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing plays any more: an order stopped it, or the queue is at its end."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The queue or the mode of playing changed, or the position by an order."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An order was not carried out; ``text`` is the answer to it."""

    kind: Kind
    text: str


Event = Started | Ended | Paused | Resumed | Stopped | Changed | Refused


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What plays, at one moment.

    Attributes:
        state: what the teller does.
        title: the track's title, "" without one.
        source: its path or URL as it was asked for, "" without one.
        key: its key (`Track.key`).
        position: seconds played, None if unknown.
        length: the track's seconds, None if unknown.
        index: the track's number in the queue, from 0.
        count: the tracks in the queue.
        titles: numbers and titles around the track, in the order of playing.
    """

    state: State = State.IDLE
    title: str = ""
    source: str = ""
    key: str = ""
    position: float | None = None
    length: float | None = None
    index: int = 0
    count: int = 0
    titles: Sequence[tuple[int, str]] = ()
