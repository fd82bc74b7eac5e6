"""The titles that were passed over since the last order, each with the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from machine.errors import RefusedError, ResourceError
from resources.playing.queue import Queue

# Titles that one order passes over: together they must leave time for one that plays, within the
# dispatch's limit.
SKIP_LIMIT = 20
# Of these an error names so many.
SKIPS_SHOWN = 3

_log = logging.getLogger(__name__)


class Skips:
    """Notes the last SKIP_LIMIT of them."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.count = 0

    def clear(self, notes: Iterable[str] = ()) -> None:
        """Begin anew for an order, which has left out ``notes``."""
        self.notes = list(notes)[-SKIP_LIMIT:]
        self.count = 0

    def add(self, queue: Queue, error: ResourceError) -> None:
        """Note that the current track of ``queue`` is passed over."""
        title = queue.current.shown if queue.current else ""
        _log.warning("play: %s is skipped: %s", title, error)
        self.tell(f"{title}: {error}")
        self.count += 1

    def tell(self, note: str) -> None:
        """Note something else that whoever asks why should know."""
        self.notes = [*self.notes, note][-SKIP_LIMIT:]

    def none_plays(self, last: RefusedError) -> RefusedError:
        """Return the error for an order of which nothing could be played; ``last`` was the last one."""
        if self.count < 2:
            return last
        shown = "; ".join(self.notes[:SKIPS_SHOWN]) + ("; …" if self.count > SKIPS_SHOWN else "")
        return RefusedError(f"play: none of {self.count} titles can be played: {shown}")
