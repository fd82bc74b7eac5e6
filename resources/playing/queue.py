"""The queue: which tracks play in which order, and which one plays now. Pure: it plays nothing.

A queue is never changed; each step gives another one. Tracks are kept by reference, because a folder
may stand for 50,000 titles of which few are ever played: shuffling makes 4 bytes for each of them.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import accumulate
from typing import Protocol, Self, overload

from machine.errors import RefusedError
from wire.records import dataclass

# Titles in a queue that orders add to; a folder that is played alone may be larger.
QUEUE_LIMIT = 10_000


@dataclass(frozen=True, slots=True, repr=False)
class Track:
    """Something to play.

    Attributes:
        title: as people see it.
        source: an absolute path, or an http(s) URL.
        key: the same for the same story on another day: the path in the media folder, or the URL
            without what changes each time (`resources.playing.keys`). "" is nothing to remember.
    """

    title: str
    source: str
    key: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a file on this machine."""
        return self.source.startswith("/")

    def __repr__(self) -> str:
        return f"Track(title={self.shown!r})"

    @property
    def shown(self) -> str:
        """The title for a log; of a URL neither user nor query, which may hold secrets."""
        title = self.title
        if "://" not in title:
            return title
        scheme, _, rest = title.partition("://")
        host, slash, path = rest.partition("/")
        name = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
        return name.partition("?")[0].partition("#")[0]


class PlayMode(StrEnum):
    """What follows the end of a track; the values are those of the data point ``play_mode``."""

    ORDER = "order"
    """The next one; after the last one nothing."""
    SHUFFLE = "shuffle"
    """Another one by chance, until each has been played once."""
    REPEAT_ONE = "repeat-one"
    """The same one."""
    REPEAT_ALL = "repeat-all"
    """The next one; after the last one the first."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Tracks, and the place of the one that plays.

    Attributes:
        tracks: as they stand in the folder or list.
        index: the current one's place in the order of playing.
        whole: all of it was asked for, not the current track alone: a first track that cannot be
            played is then no failure.
        order: the numbers of the tracks in the order of playing, None as they stand.
        notes: what was left out of what was asked for, for whoever asks why.
    """

    tracks: Sequence[Track] = ()
    index: int = 0
    whole: bool = False
    order: Sequence[int] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def number(self) -> int:
        """The current track's number in ``tracks``."""
        return self.index if self.order is None else self.order[self.index]

    @property
    def current(self) -> Track | None:
        """The current track, None in an empty queue."""
        return self.tracks[self.number] if self.tracks else None

    @property
    def wanted(self) -> Sequence[Track]:
        """The tracks that were asked for: all, or the current one."""
        return self.tracks if self.whole else self.tracks[self.number : self.number + 1]

    def move(self, step: int, *, wrap: bool = False) -> Queue | None:
        """Return the queue moved by ``step`` tracks; None past either end, unless it may ``wrap``."""
        place = self.index + step
        if wrap and self.tracks:
            place %= len(self)
        return replace(self, index=place) if 0 <= place < len(self) else None

    def after_end(self, mode: PlayMode) -> Queue | None:
        """Return the queue at what follows the current track's own end, None if nothing does."""
        if mode is PlayMode.REPEAT_ONE:
            return self if self.tracks else None
        return self.move(1, wrap=mode is PlayMode.REPEAT_ALL)

    def jump(self, number: int) -> Queue | None:
        """Return the queue at the track ``number`` (from 0), None if there is none.

        In a shuffled queue that track is taken out of its turn, so that the one before it is the one
        that was left.
        """
        if not 0 <= number < len(self):
            return None
        if self.order is None:
            return replace(self, index=number)
        if number == self.number:
            return self
        left = self.number
        rest = [n for n in self.order if n != number]
        place = rest.index(left) + 1
        return replace(self, index=place, order=array("I", [*rest[:place], number, *rest[place:]]))

    def shuffled(self, chance: random.Random, *, stay: bool) -> Queue:
        """Return the queue in an order by chance; with ``stay`` the current track is the first."""
        numbers = list(range(len(self)))
        chance.shuffle(numbers)
        if stay and numbers:
            place = numbers.index(self.number)
            numbers[0], numbers[place] = numbers[place], numbers[0]
        return replace(self, index=0, order=array("I", numbers))

    def in_order(self) -> Queue:
        """Return the queue as its tracks stand, at the same track."""
        return replace(self, index=self.number if self.tracks else 0, order=None)

    def play_next(self, more: Sequence[Track]) -> Queue:
        """Return the queue with ``more`` behind the current track; raises RefusedError."""
        return self._with(more, self.number + 1, self.index + 1) if self.tracks else _of(more)

    def add(self, more: Sequence[Track]) -> Queue:
        """Return the queue with ``more`` at its end; raises RefusedError."""
        return self._with(more, len(self), len(self)) if self.tracks else _of(more)

    def around(self, before: int, after: int) -> list[tuple[int, str]]:
        """Return numbers (from 0) and titles of the tracks around the current one, in playing order."""
        places = range(max(0, self.index - before), min(len(self), self.index + after + 1))
        numbers = places if self.order is None else [self.order[place] for place in places]
        return [(number, self.tracks[number].title) for number in numbers]

    def _with(self, more: Sequence[Track], number: int, place: int) -> Queue:
        """Put ``more`` before the track ``number``; they are played at ``place``."""
        tracks = Joined.of(self.tracks).insert(number, more)
        if len(tracks) > QUEUE_LIMIT:
            raise RefusedError(
                f"play: got {len(more)} titles more, expected a queue of at most {QUEUE_LIMIT}"
            )
        if self.order is None:
            return replace(self, tracks=tracks)
        moved = [n if n < number else n + len(more) for n in self.order]
        moved[place:place] = range(number, number + len(more))
        return replace(self, tracks=tracks, order=array("I", moved))


def _of(more: Sequence[Track]) -> Queue:
    return Queue(more, whole=True)


class Joined(Sequence[Track]):
    """Some tracks of several sequences, one after the other, by reference."""

    def __init__(self, parts: Sequence[tuple[Sequence[Track], range]]) -> None:
        """Join ``parts``: sequences with the numbers of those of their tracks that belong to this."""
        self.parts = [part for part in parts if part[1]]
        self._starts = list(accumulate((len(numbers) for _, numbers in self.parts), initial=0))

    @classmethod
    def of(cls, *several: Sequence[Track]) -> Self:
        """Return all tracks of ``several``; what is joined already is not nested."""
        parts: list[tuple[Sequence[Track], range]] = []
        for tracks in several:
            whole = (tracks, range(len(tracks)))
            parts += tracks.parts if isinstance(tracks, Joined) else [whole]
        return cls(parts)

    def insert(self, number: int, more: Sequence[Track]) -> Self:
        """Return these tracks with ``more`` before the track ``number``."""
        place = bisect_right(self._starts, number) - 1
        head, tail = self.parts[:place], self.parts[place:]
        if tail:
            tracks, numbers = tail[0]
            cut = number - self._starts[place]
            head = [*head, (tracks, numbers[:cut])]
            tail = [(tracks, numbers[cut:]), *tail[1:]]
        return type(self)([*head, *self.of(more).parts, *tail])

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Track: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Track]: ...
    def __getitem__(self, index: int | slice) -> Track | Sequence[Track]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        place = bisect_right(self._starts, number) - 1
        tracks, numbers = self.parts[place]
        return tracks[numbers[number - self._starts[place]]]


class Opener(Protocol):
    """Finds what is asked for in one place: the card, or the network."""

    async def open(self, text: str) -> Queue | None:
        """Return the queue that ``text`` stands for; None: it belongs to another opener.

        Raises:
            RefusedError: there is no such thing.
            UnavailableError: it cannot be looked for now.
        """

    async def run(self) -> None:
        """Work in the background until cancelled."""

    async def close(self) -> None:
        """Release what is open."""
