"""What a case is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from staging.advise.lab import Lab

Script = Callable[[Lab], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: by which checks name it.
        run: does it.
        says: what is done, for the progress.
        quick: whether the quick suite has it.
        links: the links on which it can be done.
        limit: seconds after which it is broken off.
        cuts: whether it ends connections, after which a device waits longer each time; a machine that starts again does not.
        fills: whether it may be run earlier, while a device would only be left alone.
        seconds: how long it takes with a device that does as it should.
    """

    name: str
    run: Script
    says: str
    quick: bool = False
    links: tuple[str, ...] = ("coap", "mqtt")
    limit: float = 120.0
    cuts: bool = True
    fills: bool = False
    seconds: float = 2.0
