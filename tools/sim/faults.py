"""Faults of a simulated world that have an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.sim.world import World


def for_a_while(world: World, name: str, seconds: float, undo: Callable[[], None]) -> None:
    """Let a fault that has begun end by ``undo`` after ``seconds``, or when all faults end; one of its name that is under way ends with it."""
    world.observer.count("faults")
    world.undo[name] = undo

    def end() -> None:
        if world.undo.get(name) is undo:
            del world.undo[name]
            world.note(f"-- {name} is over")
            undo()

    world.later(seconds, end)
