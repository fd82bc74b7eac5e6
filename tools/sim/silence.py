"""A story that ends although nobody said so, in a simulated world: what the machine stops by itself must have a reason.

Its reasons are the sleep timer, the parents' rules and the battery. Where one of them is not known for sure nothing is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.playing.teller import Teller
from tools.sim.machine import CURRENT_MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.machine import Machine
    from tools.sim.promises import Promises

# Percent of a battery that is nobody's reason yet.
CHARGED = 25


def has_reason(machine: Machine, promises: Promises) -> bool:
    """Return whether there may be one."""
    rules = promises.kept.get("rules", "off" if promises.are_rules_untouched else "")
    is_damaged = any("rules" in path or "sleep_timer" in path for path in machine.damaged)
    is_low = not machine.battery.powered and machine.battery.level < CHARGED
    return rules != "off" or not promises.has_no_timer or is_damaged or is_low


def watch_stops(watching: Callable[[], Promises | None]) -> None:
    """Tell of what the machine stops by itself, for the rest of the process; people order a stop in another way."""
    stop = Teller.stop

    async def noted_stop(self: Teller) -> None:
        machine, promises = CURRENT_MACHINE.get(), watching()
        if machine is not None and machine.life is not None and promises is not None:
            track = self.deck.track
            if track is not None and not has_reason(machine, promises):
                promises.broken.append(f"{track.title} was stopped, and nobody asked for that")
        await stop(self)

    Teller.stop = noted_stop  # type: ignore[method-assign]
