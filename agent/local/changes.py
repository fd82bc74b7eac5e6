"""Who watches which data point, and what wakes them: the local CoAP's observations (RFC 7641)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import field

from wire.records import dataclass

# A machine has a few local programs; each watches a few data points.
WATCHERS_LIMIT, OWNER_LIMIT = 32, 12


@dataclass(eq=False, slots=True)
class Watcher:
    """Somebody who watches a path.

    Attributes:
        name: the path.
        owner: who it is; one may watch several paths.
        changed: set after each change, and when it is over.
        is_over: whether another one has its place now.
    """

    name: str
    owner: Hashable
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False


class Changes:
    """The changes of the data points' values, for those who watch."""

    def __init__(self) -> None:
        """Begin without watchers."""
        self._watchers: list[Watcher] = []

    def note(self, name: str) -> None:
        """Wake those who watch the data point ``name``."""
        for watcher in self._watchers:
            if watcher.name == name:
                watcher.changed.set()

    @contextlib.contextmanager
    def watch(self, path: tuple[str, ...], owner: Hashable) -> Iterator[Watcher]:
        """Watch a path while the context is open, or until another one needs the place.

        A program that was killed is known to be gone only after the next change, which may never come: it
        must not keep itself from watching when it is started again.
        """
        watcher = Watcher("/".join(path), owner)
        self._make_room(owner)
        self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            self._drop(watcher)

    def _make_room(self, owner: Hashable) -> None:
        """End the oldest of ``owner`` if it has too many, else of who has the most if all have too many."""
        counts = Counter(each.owner for each in self._watchers)
        if counts[owner] < OWNER_LIMIT:
            if len(self._watchers) < WATCHERS_LIMIT:
                return
            owner = counts.most_common(1)[0][0]
        oldest = next(each for each in self._watchers if each.owner == owner)
        oldest.is_over = True
        oldest.changed.set()
        self._drop(oldest)

    def _drop(self, watcher: Watcher) -> None:
        with contextlib.suppress(ValueError):
            self._watchers.remove(watcher)


def link_format(names: Iterable[str], query: Iterable[str] = ()) -> bytes:
    """Return the data points as links (RFC 6690), for ``GET /.well-known/core``; raises WireError."""
    from wire.links import Link, format_links  # noqa: PLC0415  # where CoAP is served

    points = (
        Link(name, (("rt", "story-agent.data-point"), ("ct", "0"), ("obs", None))) for name in names
    )
    described = Link("resource", (("rt", "story-agent.description"), ("ct", "50")))
    return format_links([*points, described], query)
