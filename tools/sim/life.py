"""Whose code runs: each machine's process is a life, and what is dead does nothing any more.

A context variable carries the life, so tasks, timers and threads that a machine starts belong to it without
knowing. Time of day, boot and disk of a life are its machine's.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

# Tasks that a process has at rest: as many as that are not worth a look at which of them have ended.
TASKS_AT_REST = 30


class PowerCut(BaseException):  # it is no error of the code that meets it
    """The machine has no power: nothing after this line happens."""


@dataclass(eq=False, slots=True)
class Life:
    """One process of one machine.

    Attributes:
        name: the machine's, for people.
        wall_offset: seconds that the machine's clock is ahead of the true time.
        booted_at: the true time of the machine's boot, in seconds.
        boot_id: the kernel's id of that boot.
        dead: whether it was killed, or has lost its power.
        signals: what a signal calls, by its number.
        kept: what must outlive it, for a later end: coroutines that never go on.
        handlers: of its log.
        tasks: those that it has begun; its ended ones too while somebody holds them, until they are many.
        watches: what the kernel closes at its end: the real descriptors that it has.
    """

    name: str
    wall_offset: float = 0.0
    booted_at: float = 0.0
    boot_id: str = "boot"
    dead: bool = False
    signals: dict[int, Any] = field(default_factory=dict)
    kept: list[Any] = field(default_factory=list)
    watches: list[Any] = field(default_factory=list)
    handlers: list[logging.Handler] = field(default_factory=list)
    tasks: WeakSet[asyncio.Task[Any]] = field(default_factory=WeakSet)

    @property
    def busy(self) -> int:
        """How many of its tasks have not ended; those that have are forgotten, so that no look counts them again."""
        if len(self.tasks) > TASKS_AT_REST:
            for task in [each for each in self.tasks if each.done()]:
                self.tasks.discard(task)
        return len(self.tasks)

    def close_watches(self) -> None:
        """Close what the kernel would close."""
        while self.watches:
            self.watches.pop().close()


CURRENT: ContextVar[Life | None] = ContextVar("life", default=None)


def current() -> Life | None:
    """Return whose code runs, None for the simulation's own."""
    return CURRENT.get()


def is_dead() -> bool:
    """Return whether the code that runs has lost its power."""
    life = CURRENT.get()
    return life is not None and life.dead
