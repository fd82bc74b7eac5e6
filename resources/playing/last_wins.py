"""The last order wins: orders are numbered as they come, and a newer one that is taken ends the older.

An order is taken once it is known what it does. One for a title that nobody knows is never taken, and
leaves what an older one is about to do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any, TypeVar

from machine.errors import UnavailableError

T = TypeVar("T")


class GivenUpError(UnavailableError):
    """A newer order took the place of this one."""

    def __init__(self) -> None:
        super().__init__("play: given up for a newer order")


class LastWins:
    """Numbers orders from 1 on.

    Attributes:
        newest: the number of the last order that came.
        taken: the number of the last order that replaces what plays, or what is about to.
    """

    def __init__(self) -> None:
        self.newest = 0
        self.taken = 0
        self._numbers = itertools.count(1)
        self._work: dict[asyncio.Task[Any], int] = {}

    def begin(self) -> int:
        """Return the number of an order that comes now."""
        self.newest = next(self._numbers)
        return self.newest

    def take(self, number: int) -> None:
        """Take an order, and give up the work of older ones; raises GivenUpError if it is older."""
        if number < self.taken:
            raise GivenUpError
        self.taken = number
        for task, older in self._work.items():
            if older < number:
                task.cancel()

    async def unless_newer(self, number: int, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of an order's ``work``; raises GivenUpError once a newer one is taken."""
        if number < self.taken:
            work.close()
            raise GivenUpError
        task = asyncio.create_task(work)
        self._work[task] = number
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            del self._work[task]
        if task.cancelled():
            raise GivenUpError
        try:
            return task.result()
        finally:
            del task  # or its error's frames hold it, and it the error with all that was read
