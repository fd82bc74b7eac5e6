"""What happens to stories from the web in a simulated world, by name (`tools.sim.scenario`)."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING

from tools.sim.faults import for_a_while
from tools.sim.machine import TITLES
from tools.sim.people import PLAYS_SECONDS, by_hand
from tools.sim.web_keep import order_story, pin_story
from tools.sim.web_server import MANNERS, PINNED, STORIES, TROUBLES

if TYPE_CHECKING:
    from tools.sim.world import World

# Of those who look for a story: how many they hear, each for so many seconds.
STORIES_MAX, HEARD_SECONDS = 4, 4.0
# How often somebody orders a story while something is wrong, and how soon.
MEANWHILE, MEANWHILE_SECONDS = 0.7, 1.0
# A story is looked for on the web for about so long.
FOUND_SECONDS = 1.0
# What is to be kept is taken within so many seconds, and fetched the first time within so many more.
KEPT_SECONDS, FETCH_SECONDS = 10.0, 80.0
# Seconds that it is another one.
MANNERS_SECONDS = 90.0
# Seconds that something is wrong with the server, at least and more.
TROUBLE_SECONDS = (10.0, 120.0)


def web_story(world: World, chance: float) -> None:
    """Somebody at home orders a story, or looks for one among several."""
    first = int(chance * len(STORIES))
    for step in range(1 + int(chance * 700) % STORIES_MAX):
        name = STORIES[(first + step) % len(STORIES)]
        world.later(step * HEARD_SECONDS, functools.partial(_order, world, name))


def _order(world: World, name: str) -> None:
    world.observer.promises.touch()
    order_story(world, name)


def web_crowd(world: World, chance: float) -> None:
    """Let somebody order a story from the web, and others a step or another title before that is found."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    by_hand(world, "play", rng.choice(TITLES), local=False)
    world.later(PLAYS_SECONDS, functools.partial(_order, world, rng.choice(STORIES)))
    for _ in range(rng.randint(1, 3)):
        value = rng.choice(["next", "next", "previous", "stop", "pause", "resume", *TITLES[:2]])
        at = PLAYS_SECONDS + rng.uniform(0.0, FOUND_SECONDS)
        world.later(at, functools.partial(by_hand, world, "play", value, local=False))


def web_trouble(world: World, chance: float) -> None:
    """Let something be wrong with the server; now and then somebody orders a story then."""
    stories, again = world.stories, chance * 70 % 1
    stories.trouble = TROUBLES[int(chance * len(TROUBLES))]
    keep = world.observer.keep
    keep.is_told_others = stories.trouble == "tells a wrong length"

    def undo() -> None:
        stories.trouble = ""
        keep.forget_whole()
        keep.is_told_others = False

    seconds = TROUBLE_SECONDS[0] + TROUBLE_SECONDS[1] * (chance * 7 % 1)
    for_a_while(world, "web trouble", seconds, undo)
    if again < MEANWHILE:
        world.later(MEANWHILE_SECONDS, functools.partial(web_story, world, again / MEANWHILE))


def web_edition(world: World, _chance: float) -> None:
    """Let all stories on the server be other ones, if it says which they are: no machine can tell them from the ones before else."""
    world.stories.edition += not world.stories.was_unmarked
    keep = world.observer.keep
    keep.edition = world.stories.edition
    keep.forget_whole()


def web_name(world: World, chance: float) -> None:
    """Let nobody know the server's name."""
    world.stories.set_name(known=False)

    def undo() -> None:
        world.stories.set_name(known=True)

    for_a_while(world, "web name", TROUBLE_SECONDS[0] + TROUBLE_SECONDS[1] * chance, undo)


def web_manners(world: World, chance: float) -> None:
    """Let the server be one that sends no ranges, does not say which edition it has, or breaks off after a few bytes; somebody orders a story then."""
    stories, rng = world.stories, random.Random(chance)  # noqa: S311  # a simulation
    stories.manners = frozenset(rng.sample(MANNERS, rng.choice([1, 1, 2])))

    def undo() -> None:
        stories.manners = frozenset()

    for_a_while(world, "web manners", MANNERS_SECONDS * (0.2 + rng.random()), undo)
    world.later(MEANWHILE_SECONDS, functools.partial(web_story, world, rng.random()))


def pin(world: World, chance: float) -> None:
    """Let the family have a story kept for good, or kept as any other."""
    name = PINNED[int(chance * len(PINNED))]
    pin_story(world, name, is_pinned=chance * 70 % 1 < 0.7)


def pin_in_vain(world: World, chance: float) -> None:
    """Let the family have a story kept for good, and its server be busy when that is fetched the first time."""
    pin_story(world, PINNED[int(chance * len(PINNED))], is_pinned=True)

    def be_busy() -> None:
        world.stories.trouble = "is busy"
        for_a_while(world, "web trouble", FETCH_SECONDS, undo)

    def undo() -> None:
        world.stories.trouble = ""

    world.later(KEPT_SECONDS, be_busy)


HAPPENINGS = {
    "pin in vain": pin_in_vain,
    "web manners": web_manners,
    "pin": pin,
    "web story": web_story,
    "web trouble": web_trouble,
    "web edition": web_edition,
    "web name": web_name,
    "web crowd": web_crowd,
}
