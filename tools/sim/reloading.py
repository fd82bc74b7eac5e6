"""Settings that are changed while a simulated machine runs: SIGHUP tells its agent, which takes what it can take at once."""

from __future__ import annotations

import random
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from tools.sim.machine import Machine

if TYPE_CHECKING:
    from tools.sim.world import World

# Until a file that nobody can read is a good one again.
SPOILT_SECONDS = 5.0


def change_settings(world: World, chance: float) -> None:
    """Somebody changes what is read at each use, now and then by way of a file that nobody can read."""
    machine, rng = world.machine, random.Random(chance)  # noqa: S311  # a simulation
    settings = machine.settings
    machine.settings = replace(
        settings,
        link=replace(settings.link, keepalive_seconds=rng.choice([45.0, 50.0, 55.0])),
        voice=replace(settings.voice, quality=rng.choice([4, 6, 8])),
    )
    if rng.random() < 0.5:
        _take(world)
        return
    machine.is_spoilt = True
    machine.etc.spoil()
    machine.send(signal.SIGHUP)
    world.later(SPOILT_SECONDS, lambda: _take(world))


def _take(world: World) -> None:
    machine = world.machine
    machine.is_spoilt = False
    machine.etc.write(machine.settings)
    machine.send(signal.SIGHUP)


def has_taken(machine: Machine) -> bool:
    """Return whether the agent works by what the settings file says, as far as that is read at each use."""
    found = getattr(machine.agent, "_settings", None)
    if found is None or machine.is_spoilt:
        return True
    wanted = machine.settings
    return (found.link.keepalive_seconds, found.voice.quality) == (
        wanted.link.keepalive_seconds, wanted.voice.quality,
    )  # fmt: skip
