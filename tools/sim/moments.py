"""Whether a simulated machine restarts for an update while a story sounds: it waits for the story's end (docs/ota.md).

Only an order that is forced does not wait, and who goes back from a failed version waits for an hour at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ota.restart import Restart, Restarter
from resources.playing.events import State
from tools.sim.last_order import stem, teller_of
from tools.sim.machine import CURRENT_MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.machine import Machine
    from tools.sim.observer import Observer

# Seconds for which a machine lets a story play on with a version that has failed.
BACK_SECONDS = 3600.0


def interrupted(machine: Machine) -> str:
    """Return what sounds, and is told to, on a machine now; "" for nothing."""
    dispatch = getattr(machine.agent, "_dispatch", None)
    teller = None if dispatch is None else teller_of(dispatch.points.get("play"))
    if teller is None or machine.player is None or machine.player.sounding is None:
        return ""
    sounding = stem(machine.player.sounding)
    title = stem(teller.title) if "://" in teller.title else teller.title
    return title if teller.state is State.PLAYING and sounding == title else ""


def is_due(restart: Restart, waited: float) -> bool:
    """Return whether a restart may interrupt a story, after so many seconds of waiting for one."""
    return restart.forced or (not restart.to_new and waited >= BACK_SECONDS)


def watch_restarts(watching: Callable[[], Observer | None]) -> None:
    """Look what sounds as a machine ends for an update, for the rest of the process; nothing is changed by that."""
    leave = Restarter.leave

    async def noted_leave(self: Restarter, restart: Restart) -> None:
        machine, observer = CURRENT_MACHINE.get(), watching()
        if machine is None or observer is None:
            await leave(self, restart)
            return
        host, began = self._host, observer.world.loop.time()
        end = host.end

        def noted_end(*, restart: bool) -> None:
            title = interrupted(machine)
            observer.count("restarts for an update")
            if title and not is_due(asked, observer.world.loop.time() - began):
                observer.promises.broken.append(
                    f"{title} sounds, and the machine restarts for an update"
                )
            end(restart=restart)

        asked, host.end = restart, noted_end  # type: ignore[method-assign]
        await leave(self, restart)

    Restarter.leave = noted_leave  # type: ignore[method-assign]
