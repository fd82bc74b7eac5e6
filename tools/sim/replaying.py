"""Makes events of the simulation of what a machine's journal says (`tools.sim.journal`)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tools.sim.happenings import HAPPENINGS, _order, _path
from tools.sim.journal import Plan, Step, title_number
from tools.sim.machine import TITLES, Faulty
from tools.sim.people import by_app, by_hand
from tools.sim.repository import VERSIONS
from tools.sim.scenario import Event

if TYPE_CHECKING:
    from tools.sim.world import World


def events_of(plan: Plan, begin: float) -> list[Event]:
    """Return the events of the steps from second ``begin`` on; each is registered under a name of its own."""
    versions: dict[str, str] = {}
    events = []
    for number, step in enumerate(step for step in plan.steps if step.at >= begin):
        name = f"{step.what} {' '.join(step.words)} ({number})"
        HAPPENINGS[name] = functools.partial(_do, step, versions)
        events.append(Event(step.at - begin, name, 0.0))
    return events


def _do(step: Step, versions: dict[str, str], world: World, _chance: float) -> None:
    machine = world.machine
    match step.what, step.words:
        case "order", (by, name, value):
            number = title_number(value)
            said = value if number is None else TITLES[number % len(TITLES)]
            (by_hand if by == "hand" else by_app)(world, name, said)
        case "network", (state,):
            _path(world).set_up(up=state == "up")
            world.undo["network"] = functools.partial(_path(world).set_up, up=True)
        case "update", (version,):
            _order(world, versions.setdefault(version, _other(versions)), Faulty())
        case "cancel", ():
            HAPPENINGS["cancel"](world, 0.0)
        case "kill", ():
            machine.kill()
        case "power", ():
            machine.lose_power("power cut of the journal")
        case "stop", ():
            machine.stop()


def _other(versions: dict[str, str]) -> str:
    """Return the version of the simulation that stands for the next new one."""
    return VERSIONS[len(versions) % len(VERSIONS)]
