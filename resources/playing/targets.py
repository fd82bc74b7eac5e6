"""What an order means: the queue that takes the place of what plays, and where it begins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from resources.playing.events import Kind, RefusedOrderError
from resources.playing.finder import Finder, find_in, find_track
from resources.playing.orders import Add, Command, Jump, Order, Play
from resources.playing.positions import Positions
from resources.playing.programme import Programme, Target
from resources.playing.queue import PlayMode, Queue

STEPS: Mapping[Command, int] = {Command.NEXT: 1, Command.PREVIOUS: -1}


class Targets:
    """Finds what orders name, and arranges it by the mode and by what is remembered.

    Attributes:
        finder: finds names.
    """

    def __init__(self, finder: Finder, memory: Positions, programme: Programme) -> None:
        self.finder = finder
        self._memory = memory
        self._programme = programme

    async def of(self, order: Order) -> Target | None:
        """Return what takes the place of what plays, None if that is not known yet."""
        if isinstance(order, Play):
            return await self._found(order)
        if isinstance(order, Add):
            queue, left_out = await self.finder.find(order.wanted)
            return Target(Queue(queue.wanted, whole=True), 1, None, left_out)
        if isinstance(order, Jump):
            if self._programme.queue.current is None:
                raise nothing("jump")
            return Target(await asyncio.to_thread(find_in, self._programme.queue, order.to))
        if order in {Command.RESUME, Command.RESTART} and self._programme.queue.current is None:
            return await self._left(from_start=order is Command.RESTART)
        if isinstance(order, Command) and order in STEPS and self._programme.busy:
            # Not from what plays, but from what is about to.
            return self.moved(order)
        return None

    async def as_it_is(self, target: Target) -> Target:
        """Return a title of the queue in the queue as it is by now: what was added since it was looked for stays."""
        queue, then = self._programme.queue, target.queue
        is_same = queue.tracks is then.tracks and (queue.order is None) == (then.order is None)
        if is_same or queue.current is None:
            return target
        found = await asyncio.to_thread(find_track, queue, then.current)
        return target if found is None else replace(target, queue=found)

    async def _found(self, order: Play) -> Target:
        """Return what a family wants to hear: a folder at the title that it was left at."""
        queue, left_out = await self.finder.find(order.wanted)
        mode = order.mode or self._memory.mode
        if mode is PlayMode.SHUFFLE:
            queue = queue.shuffled(self._programme.chance, stay=not queue.whole)
        elif not order.from_start and (isinstance(order.wanted, str) or len(order.wanted) == 1):
            # A list of several begins with its first: that is what it says.
            if queue.whole:
                await self._programme.deck.note()  # what plays may be the one to go on with
            queue = await self._memory.arrange(queue)
        start = 0.0 if order.from_start else None
        return Target(queue, 1 if queue.whole else 0, start, left_out)

    async def _left(self, *, from_start: bool) -> Target:
        """Return what was heard last, on another day perhaps."""
        if not self._memory.last:
            raise nothing("restart" if from_start else "resume")
        queue, left_out = await self.finder.find(self._memory.last)
        queue = await self._memory.last_of(queue, again=from_start)
        if self._memory.mode is PlayMode.SHUFFLE:
            queue = queue.shuffled(self._programme.chance, stay=True)
        track = queue.current
        start = 0.0 if from_start or track is None else await self._memory.left_at(track)
        return Target(queue, 1 if queue.whole else 0, start, left_out)

    def moved(self, command: Command) -> Target:
        """Return the next track, or the one before; raises RefusedOrderError if there is none."""
        step = STEPS[command]
        moved = self._programme.queue.move(step, wrap=self._memory.mode is PlayMode.REPEAT_ALL)
        if moved is None:
            raise RefusedOrderError(Kind.NOTHING, f"play: there is no {command.value[1]} track")
        return Target(moved, step)


def nothing(what: str) -> RefusedOrderError:
    """Return the error of an order that needs something to play."""
    return RefusedOrderError(Kind.NOTHING, f"play: nothing is playing, so there is no {what}")
