"""What happens to lists and feeds of a simulated world's web, by name (`tools.sim.scenario`), and to servers that tell less than others; beside what happens to stories."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING

from tools.sim import web_side
from tools.sim.faults import for_a_while
from tools.sim.people import by_hand
from tools.sim.web_lists import NAMES, url_of_list
from tools.sim.web_server import LENGTHS, STORIES, TROUBLES
from tools.sim.web_side import MEANWHILE_SECONDS, web_story, web_trouble

if TYPE_CHECKING:
    from tools.sim.world import World

# Of those who listen to a list: the steps that they take in it, each after so many seconds.
STEPS, STEP_SECONDS = 3, (2.0, 12.0)
# The part of those who order one while something is wrong with its server, and how long it tells no lengths, at least and more.
AMISS, LENGTHS_SECONDS = 0.3, (20.0, 120.0)
# The part of those who order a story that such a server loses while it sends it, and after how long.
LOST, LOST_SECONDS = 0.4, 4.0
# Seconds for which a server that has other stories does not say which they are.
SILENT_SECONDS = 60.0


def web_list(world: World, chance: float) -> None:
    """Let somebody order a list, and go on in it; now and then something is wrong with its server then."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    name = rng.choice(NAMES)
    if rng.random() < AMISS:
        web_trouble(world, (rng.randrange(len(TROUBLES)) + rng.random()) / len(TROUBLES))
    world.later(MEANWHILE_SECONDS, functools.partial(_order, world, name))
    at = MEANWHILE_SECONDS
    for _ in range(rng.randint(0, STEPS)):
        at += rng.uniform(*STEP_SECONDS)
        step = rng.choice(["next", "next", "previous"])
        world.later(at, functools.partial(by_hand, world, "play", step, local=False))


def _order(world: World, name: str) -> None:
    world.observer.promises.touch()
    by_hand(world, "play", url_of_list(name), local=False)


def web_lengths(world: World, chance: float) -> None:
    """Let the server tell no lengths for a while; somebody orders a story, or a list, then."""
    stories, rng = world.stories, random.Random(chance)  # noqa: S311  # a simulation
    stories.lengths = rng.choice(LENGTHS[1:])

    def undo() -> None:
        stories.lengths = LENGTHS[0]

    for_a_while(world, "web lengths", rng.uniform(*LENGTHS_SECONDS), undo)
    begin = rng.choice([web_story, web_list])
    if rng.random() < LOST:
        begin = web_story
        stories.manners = frozenset({"a few bytes"})
        for_a_while(
            world, "web manners", LOST_SECONDS + SILENT_SECONDS, functools.partial(_be_usual, world)
        )
        world.later(LOST_SECONDS, functools.partial(_lose, world))
    world.later(MEANWHILE_SECONDS, functools.partial(begin, world, rng.random()))


def _lose(world: World) -> None:
    """Let the server have lost what it had begun to send."""
    stories = world.stories
    stories.trouble = "is missing"

    def undo() -> None:
        stories.trouble = ""

    for_a_while(world, "web trouble", SILENT_SECONDS, undo)


def _be_usual(world: World) -> None:
    world.stories.manners = frozenset()


def web_silent_edition(world: World, chance: float) -> None:
    """Let all stories on the server be other ones, without a word of which: those of another length are known by that."""
    stories = world.stories
    stories.manners |= {"no marks"}
    stories.was_unmarked = True
    stories.edition += 1
    stories.unsaid |= {name for number, name in enumerate(STORIES) if number % 2}
    if stories.lengths != LENGTHS[0]:
        stories.unsaid.update(STORIES)
    world.observer.keep.edition = stories.edition
    world.observer.keep.forget_whole()

    def undo() -> None:
        stories.manners = frozenset()

    for_a_while(world, "web manners", SILENT_SECONDS, undo)
    web_story(world, chance)


HAPPENINGS = {
    **web_side.HAPPENINGS,
    "web list": web_list,
    "web lengths": web_lengths,
    "web silent edition": web_silent_edition,
}
