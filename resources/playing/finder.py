"""Finds what an order names: on the card, on the network, or in the queue that plays."""

from __future__ import annotations

from collections.abc import Sequence

from machine.errors import RefusedError, ResourceError, UnavailableError
from resources.playing.events import AwayError, Kind, RefusedOrderError
from resources.playing.queue import QUEUE_LIMIT, Joined, Opener, Queue, Track
from wire.errors import show
from wire.text import fold


class Finder:
    """Asks openers, in their order, until one knows the name."""

    def __init__(self, openers: Sequence[Opener]) -> None:
        """Ask ``openers``; the last one refuses what is nothing."""
        self.openers = openers

    async def find(self, wanted: str | Sequence[str]) -> tuple[Queue, list[str]]:
        """Return the queue of a name or of a list of names, and the reason for each that is left out.

        A name alone is its whole folder, at the title; each of a list is what it names.

        Raises:
            RefusedOrderError, UnavailableError: nothing of it can be played.
        """
        if isinstance(wanted, str):
            queue = await self._open(wanted)
            return queue, list(queue.notes)
        found, left_out, notes = [], list[ResourceError](), list[str]()
        for name in wanted:
            try:
                queue = await self._open(name)
                found.append(queue.wanted)
                notes += queue.notes
            except ResourceError as error:
                left_out.append(error)
        if not found:
            raise left_out[0]
        tracks = Joined.of(*found)
        if len(tracks) > QUEUE_LIMIT:
            raise RefusedError(f"play: got {len(tracks)} titles, expected at most {QUEUE_LIMIT}")
        return Queue(tracks, whole=True), [*(str(error) for error in left_out), *notes]

    async def _open(self, name: str) -> Queue:
        try:
            for opener in self.openers:
                if (found := await opener.open(name)) is not None:
                    return found
        except RefusedOrderError:
            raise
        except RefusedError as error:
            raise RefusedOrderError(Kind.NOT_FOUND, str(error)) from error
        except UnavailableError as error:
            raise (AwayError if "://" in name else UnavailableError)(str(error)) from error
        raise RefusedOrderError(Kind.NOT_FOUND, f"play: got {show(name)}, which is no title")


def find_track(queue: Queue, wanted: Track | None) -> Queue | None:
    """Return ``queue`` at a track, None if it does not have that."""
    numbers = (number for number, track in enumerate(queue.tracks) if track == wanted)
    number = next(numbers, None)
    return None if number is None else queue.jump(number)


def find_in(queue: Queue, to: int | str) -> Queue:
    """Return ``queue`` at the title ``to``: its number from 1, or its name or a part of that.

    Raises:
        RefusedOrderError: there is no such title in it.
    """
    if isinstance(to, int):
        found = queue.jump(to - 1)
        if found is None:
            expected = f"expected a number from 1 to {len(queue)}"
            raise RefusedOrderError(Kind.NOT_FOUND, f"play.jump: got {to}, {expected}")
        return found
    wanted = fold(to)
    part: int | None = None
    for number, track in enumerate(queue.tracks):
        title = fold(track.title)
        if title == wanted:
            return queue.jump(number) or queue
        if part is None and wanted in title:
            part = number
    if part is None:
        shown = f"play.jump: got {show(to)}, expected one of {len(queue)} titles in the queue"
        raise RefusedOrderError(Kind.NOT_FOUND, shown)
    return queue.jump(part) or queue
