"""Who gives orders in a simulated world, and how they come to the machine: by hand, at home, by an app; one or many at once."""

from __future__ import annotations

import contextvars
import functools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resources.times.countdown import FADE_SECONDS
from tools.sim.life import CURRENT
from tools.sim.machine import CURRENT_MACHINE, TITLES
from tools.sim.open_api import AppKey, OpenApi, Request, order
from wire.exchange import Request as LocalRequest

if TYPE_CHECKING:
    from tools.sim.world import World

# Of a crowd: the seconds in which all its orders come, and those that an order of an app is on its way.
CROWD_SECONDS, WAY_SECONDS = 0.3, 0.1
# A title is sent to its last second; so long before the sleep timer's end it begins to fade.
LAST_SECONDS, TIMER_SECONDS = 1.0, 60.0
# A title plays after so long, and others add to what follows it.
PLAYS_SECONDS = 2.0


def nothing() -> None:
    """Do nothing."""


def by_hand(
    world: World, name: str, value: str, *, local: bool = True, then: Callable[[], None] = nothing
) -> None:
    """Set a data point as a button does, or (not ``local``) as the family does at home, whom no child lock stops; ``then`` is done in the moment of the answer."""
    _ask(world, lambda dispatch: dispatch.request("PUT", name, value, local=local), then)


def at_home(world: World, name: str, value: str) -> None:
    """Set a data point by the machine's own CoAP or HTTP, behind what reads these."""
    request = LocalRequest("PUT", (name,), payload=value.encode())
    _ask(world, lambda dispatch: dispatch.handle(request))


def _ask(world: World, work: Callable[[Any], Any], then: Callable[[], None] = nothing) -> None:
    machine = world.machine
    dispatch = getattr(machine.agent, "_dispatch", None)
    if dispatch is None or machine.life is None:
        return

    async def ask() -> None:
        await work(dispatch)
        then()

    context = contextvars.Context()
    context.run(CURRENT.set, machine.life)
    context.run(CURRENT_MACHINE.set, machine)
    machine.buried.append(world.loop.create_task(ask(), context=context))


def by_app(world: World, name: str, value: str) -> None:
    """Set a data point by the open API."""
    api, apps = world.cloud.some_api(), world.observer.apps
    if api is not None:
        world.observer.count("commands")
        if api is not world.cloud.api:
            world.observer.count("commands at worker 2")

        def make(key: AppKey) -> Request:
            return order(key, world.machine.name, name, value)

        is_anew = apps.tokens.is_refused
        asks = apps.ask_anew(api, make) if is_anew else apps.ask(api, make(apps.tokens.key))
        begin(world, asks, api)


def forged(world: World, chance: float) -> None:
    """Somebody who knows an app's key and token, and not its secret, orders something."""
    api, apps = world.cloud.api, world.observer.apps
    key = apps.tokens.key
    if api is not None:
        value = str(int(chance * 16))
        request = order(replace(key, secret="guessed"), world.machine.name, "volume", value)  # noqa: S106  # it is a guess
        begin(world, apps.ask_forged(api, request))


def begin(world: World, work: Any, api: OpenApi | None = None) -> None:
    """Let the cloud do something, in the process of ``api`` if it has several."""
    task = world.cloud.run(work) if api is None else api.begin(work)
    if task is not None:
        world.cloud.buried.append(task)


def _play_to_the_end(world: World, title: str) -> None:
    """Let a title begin, and go to its last second."""
    by_hand(world, "play", title)
    world.later(2.0, lambda: by_hand(world, "player", '{"position": 999999}', local=False))


def crowd(world: World, chance: float) -> None:
    """Let several give orders within milliseconds, now, at the end of the title, or when the sleep timer fades or ends it."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    match rng.choice(["now", "title", "title", "title", "fade", "timer", "again"]):
        case "now":
            middle = CROWD_SECONDS
        case "title":
            _play_to_the_end(world, rng.choice(TITLES))
            middle = 2.0 + LAST_SECONDS
        case "again":  # nobody orders anything at its end
            by_hand(world, "play_mode", "repeat-one", local=False)
            _play_to_the_end(world, rng.choice(TITLES))
            return
        case when:
            by_hand(world, "sleep_timer", "1", local=False)
            middle = TIMER_SECONDS - (FADE_SECONDS if when == "fade" else 0.0)
    for _ in range(rng.randint(2, 6)):
        at = middle + rng.uniform(-CROWD_SECONDS, CROWD_SECONDS) * rng.choice([1.0, 0.1])
        give, way = rng.choice([(by_hand, 0.0), (at_home, 0.0), (by_app, WAY_SECONDS)])
        value = rng.choice([*TITLES[:4], "next", "previous", "stop", "pause", "resume", "restart"])
        work = functools.partial(give, world, "play", value)
        world.later(max(0.0, at - way), work)


def adders(world: World, chance: float) -> None:
    """Let several add titles to what plays within milliseconds, while others go to another title of it."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    by_hand(world, "play", rng.choice(TITLES), local=False)
    for _ in range(rng.randint(4, 10)):
        action = rng.choice(["add", "next", "jump", "jump"])
        value = json.dumps({action: rng.choice(TITLES)})
        give, way = rng.choice([(by_hand, 0.0), (at_home, 0.0), (by_app, WAY_SECONDS)])
        at = PLAYS_SECONDS + rng.uniform(0.0, CROWD_SECONDS)
        world.later(at - way, functools.partial(give, world, "play", value))
