"""Who watches which data point, and what wakes them: the local CoAP's observations (RFC 7641)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

# A machine has a few local programs; each watches a few data points.
WATCHERS_LIMIT = 32


class Changes:
    """The changes of the data points' values, for those who watch."""

    def __init__(self) -> None:
        """Begin without watchers."""
        self._watchers: dict[str, set[asyncio.Event]] = {}

    def note(self, name: str) -> None:
        """Wake those who watch the data point ``name``."""
        for event in self._watchers.get(name, ()):
            event.set()

    @contextlib.contextmanager
    def watch(self, path: tuple[str, ...]) -> Iterator[asyncio.Event | None]:
        """Watch a path: the event is set after each change; None if too many watch already."""
        if sum(map(len, self._watchers.values())) >= WATCHERS_LIMIT:
            yield None
            return
        name, event = "/".join(path), asyncio.Event()
        self._watchers.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            self._watchers[name].discard(event)
            if not self._watchers[name]:
                del self._watchers[name]


def link_format(names: Iterable[str], query: Iterable[str] = ()) -> bytes:
    """Return the data points as links (RFC 6690), for ``GET /.well-known/core``; raises WireError."""
    from wire.links import Link, format_links  # noqa: PLC0415  # where CoAP is served

    points = (
        Link(name, (("rt", "story-agent.data-point"), ("ct", "0"), ("obs", None))) for name in names
    )
    described = Link("resource", (("rt", "story-agent.description"), ("ct", "50")))
    return format_links([*points, described], query)
