"""What a family sets in a simulated world, by name (`tools.sim.scenario`): twice in a row, just before the power goes, and while a child plays on."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tools.sim.clock import START
from tools.sim.faults import for_a_while
from tools.sim.machine import TITLES
from tools.sim.people import by_app, by_hand
from wire.rules import DAY_MINUTES, show_minute

if TYPE_CHECKING:
    from tools.sim.world import World

# What is set, and to what: all but the sleep timer stays over restarts. No quiet hours: the child has to be heard.
VALUES: Mapping[str, Sequence[str]] = {
    "play_mode": ("order", "repeat-one", "shuffle", "repeat-all"),
    "volume_limits": ("max=15", "max=12", "max=8"),
    "child_lock": ("false", "true"),
    "rules": ("off", "daily 30", "daily 60"),
    "microphone": ("false", "true"),
    "sleep_timer": ("1", "2", "off"),
}
# A second thought comes so soon, at least and more: the first value is told by then, or is not.
AGAIN_SECONDS = (2.0, 18.0)
# The child lock, whose record nothing but its own lock guards, and so many other settings are set by several within so many
# seconds; so many of the processes are killed then.
AT_ONCE, AT_ONCE_SECONDS, KILLED = 2, 0.04, 0.8
# The machine's clock is set back by so many seconds in quiet hours of so many minutes; a child plays on so often meanwhile.
BACK_SECONDS, QUIET_MINUTES, PLAYS_IN_QUIET = 5 * 3600.0, 180, 4
# A child plays on so often, and so many seconds after each other.
PLAYS_ON, PLAYS_SECONDS = 6, 50.0


def set_twice(world: World, chance: float) -> None:
    """Let an app set something to one value, and a little later to another."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    name = rng.choice([*VALUES])
    first, second = rng.sample(VALUES[name], 2)
    by_app(world, name, first)
    soon = AGAIN_SECONDS[0] + rng.random() * AGAIN_SECONDS[1]
    world.later(soon, functools.partial(by_app, world, name, second))


def set_at_once(world: World, chance: float) -> None:
    """Let several set the same few at once, each to something else; later the process is killed, and has what was in force."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    others = [name for name in VALUES if name != "child_lock"]
    for name in ("child_lock", *rng.sample(others, AT_ONCE)):
        for _ in range(rng.randint(2, 4)):
            give = functools.partial(by_hand, world, name, rng.choice(VALUES[name]), local=False)
            world.later(rng.uniform(0.0, AT_ONCE_SECONDS), give)
    if rng.random() < KILLED:
        world.later(AGAIN_SECONDS[0], world.machine.kill)


def cut_at_an_answer(world: World, chance: float) -> None:
    """Let somebody at home set something, change it a little later, and the power go in the moment of the answer."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    name = rng.choice([*VALUES])
    first, second = rng.sample(VALUES[name], 2)
    world.observer.count("faults")
    cut = functools.partial(world.machine.lose_power, "power cut at an answer")
    by_hand(world, name, first, local=False)
    change = functools.partial(by_hand, world, name, second, local=False, then=cut)
    world.later(AGAIN_SECONDS[0], change)


def short_day(world: World, chance: float) -> None:
    """Let the machine play for a few minutes more, or so many a day; a child plays on all the same."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    by_app(world, "rules", rng.choice(["daily 1", "daily 2", "daily 4"]))
    longest = sorted(TITLES, key=world.machine.sounds.length)[-3:]
    for step in range(PLAYS_ON):
        play = functools.partial(by_hand, world, "play", rng.choice(longest))
        world.later(2.0 + step * PLAYS_SECONDS, play)


def clock_set_back(world: World, chance: float) -> None:
    """Let quiet hours begin, and the machine's clock be set back to before them; a child plays on."""
    minute = int((START + world.loop.time()) // 60)
    begin, end = minute % DAY_MINUTES, (minute + QUIET_MINUTES) % DAY_MINUTES
    quiet = f"quiet {show_minute(begin)}-{show_minute(end)}"
    by_hand(world, "rules", quiet, local=False)
    set_back = functools.partial(world.machine.set_clock, -BACK_SECONDS)
    world.later(AGAIN_SECONDS[0], set_back)
    longest = sorted(TITLES, key=world.machine.sounds.length)[-3:]
    for step in range(PLAYS_IN_QUIET):
        title = longest[int(chance * len(longest))]
        play = functools.partial(by_hand, world, "play", title)
        world.later(2 * AGAIN_SECONDS[0] + step * PLAYS_SECONDS, play)
    until = 2 * AGAIN_SECONDS[0] + PLAYS_IN_QUIET * PLAYS_SECONDS
    for_a_while(world, "clock", until, functools.partial(world.machine.set_clock, 0.0))


def limit_below(world: World, chance: float) -> None:
    """Let the family set the volume's limit to the step below what is in force."""
    step = 5 + int(chance * 10)
    told = (
        ("volume_limits", "max=16"),
        ("volume", str(step + 1)),
        ("volume_limits", f"max={step}"),
    )
    for number, (name, value) in enumerate(told):
        give = functools.partial(by_hand, world, name, value, local=False)
        world.later(number * AGAIN_SECONDS[0], give)


def nap_taken_back(world: World, chance: float) -> None:
    """Let the family set a sleep timer for what plays, and turn it off before it ends."""
    title = TITLES[int(chance * len(TITLES))]
    for at, name, value in ((0.0, "sleep_timer", "1"), (5.0, "play", title), (20.0, "sleep_timer", "off")):  # fmt: skip
        world.later(at, functools.partial(by_hand, world, name, value, local=False))


HAPPENINGS = {
    "clock set back": clock_set_back,
    "limit below": limit_below,
    "nap taken back": nap_taken_back,
    "set twice": set_twice,
    "set at once": set_at_once,
    "cut at an answer": cut_at_an_answer,
    "short day": short_day,
}
