"""How loud a simulated machine may be: the family's limit, and another one by night (docs/playing.md, "Loudness")."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from resources.loudness.limits import Limits, parse_limits
from resources.loudness.steps import level_of
from tools.sim.clock import START
from tools.sim.forbidden import has_wrong_time
from tools.sim.people import by_app, by_hand
from tools.sim.promises import FILES
from wire.rules import DAY_MINUTES, show_minute

if TYPE_CHECKING:
    from tools.sim.machine import Machine
    from tools.sim.promises import Promises
    from tools.sim.world import World

_NIGHT = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d) max=(\d+)")
# Seconds from the order at which somebody turns it up, and how many minutes a night has: one ends while it is looked at.
LOUDER_SECONDS, MINUTES = (20.0, 160.0, 200.0), (3, 180)


@functools.lru_cache(500)
def step_at(night: str, minute: int) -> int | None:
    """Return the loudest step at a minute of the day; None: no night is then."""
    found = _NIGHT.fullmatch(night)
    if found is None:
        return None
    begin_hour, begin_minute, end_hour, end_minute, most = (int(each) for each in found.groups())
    begin, end = begin_hour * 60 + begin_minute, end_hour * 60 + end_minute
    holds = begin <= minute < end if begin < end else not end <= minute < begin
    return most if holds else None


def loudest(machine: Machine, promises: Promises, now: float) -> float | None:
    """Return the loudest level that is allowed at the true time ``now``; None: nobody knows, as an order is under way or a file damaged."""
    if any(FILES["volume_limits"] in path for path in machine.damaged):
        return None
    limits = promises.kept.get("volume_limits")
    found = [] if limits is None else [parse_limits(limits, Limits()).max]
    night = promises.kept.get("night")
    if night is not None and not has_wrong_time(machine):
        step = step_at(night, int((START + now) // 60) % DAY_MINUTES)
        found += [] if step is None else [step]
    return level_of(min(found)) if found else None


def night_limit(world: World, chance: float) -> None:
    """Let a family set a limit for a night that begins in this minute or one of the next; it is turned up all the same."""
    minute = int((START + world.loop.time()) // 60) + int(chance * 3)
    length = MINUTES[chance * 7 % 1 < 0.5]
    begin, end = minute % DAY_MINUTES, (minute + length) % DAY_MINUTES
    most = 2 + int(chance * 70 % 1 * 8)
    by_app(world, "night", f"{show_minute(begin)}-{show_minute(end)} max={most}")
    for number, seconds in enumerate(LOUDER_SECONDS):
        if number % 2:
            world.later(seconds, lambda: _turn_up(world))
        else:
            louder = functools.partial(by_hand, world, "volume", str(most + 3), local=False)
            world.later(seconds, louder)


def _turn_up(world: World) -> None:
    world.observer.promises.touch()
    world.machine.sounds.turn(1.0)


HAPPENINGS = {"night limit": night_limit}
