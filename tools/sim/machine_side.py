"""What happens to a simulated machine's process and to its card, by name (`tools.sim.scenario`)."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tools.sim.faults import for_a_while
from tools.sim.people import by_hand
from tools.sim.promises import FILES
from tools.sim.reloading import change_settings

if TYPE_CHECKING:
    from tools.sim.world import World

# Seconds until a process is killed whose file has another bit.
READ_SECONDS = 5.0
# What the family sets is on the card within so many seconds; so many of its child locks are on.
STORED_SECONDS, LOCKED = 2.0, 0.5
# The seconds without a card, at least and more: what has to be told is told by then.
AWAY_SECONDS = (150.0, 600.0)


def restart(world: World, _chance: float) -> None:
    """Somebody restarts the service."""
    world.machine.restart()


def interrupt(world: World, _chance: float) -> None:
    """Somebody ends the agent as from a terminal."""
    world.machine.send(signal.SIGINT)


def card_away(world: World, chance: float) -> None:
    """Let the machine start without its card, and later with it."""
    world.machine.take_card()
    for_a_while(
        world, "card away", AWAY_SECONDS[0] + AWAY_SECONDS[1] * chance, world.machine.give_card
    )


def setting_rots(world: World, chance: float) -> None:
    """Let the family set something, and a bit of one of the files with what it has set be another one; the next two processes read that."""
    world.observer.count("faults")
    by_hand(world, "volume_limits", "max=12", local=False)
    by_hand(world, "child_lock", str(chance * 100 % 1 < LOCKED).lower(), local=False)
    world.later(STORED_SECONDS, lambda: world.machine.rot(chance, FILES.values()))
    for start in (1, 2):
        world.later(STORED_SECONDS + start * READ_SECONDS, world.machine.kill)


def bit_rot(world: World, chance: float) -> None:
    """Let a bit of one of the machine's own files be another one while it runs; every second time its next process reads that."""
    world.observer.count("faults")
    world.machine.rot(chance)
    if chance * 1000 % 1 < 0.5:
        world.later(READ_SECONDS, world.machine.kill)


def stuck_mixer(world: World, chance: float) -> None:
    """Let the mixer take no level, without a word."""
    sounds = world.machine.sounds
    sounds.stuck = sounds.was_stuck = True

    def undo() -> None:
        sounds.stuck = False
        sounds.plug(there=sounds.device)  # it tells what it has

    for_a_while(world, "stuck mixer", 30 + 300 * chance, undo)


def loud_and_stuck(world: World, chance: float) -> None:
    """Let somebody turn the knob beyond the limit while the mixer takes no level: it is put back once that works."""
    by_hand(world, "volume_limits", "max=8", local=False)
    world.later(5.0, lambda: stuck_mixer(world, chance / 2))
    world.later(10.0, lambda: world.machine.sounds.turn(0.9 + chance / 10))


HAPPENINGS = {
    "stuck mixer": stuck_mixer,
    "loud and stuck": loud_and_stuck,
    "bit rot": bit_rot,
    "setting rots": setting_rots,
    "restart": restart,
    "interrupt": interrupt,
    "reload": change_settings,
    "card away": card_away,
}
