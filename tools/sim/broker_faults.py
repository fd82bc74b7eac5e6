"""What can happen to a broker, and to the network between it and a cloud that is elsewhere (`tools.sim.scenario`)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from tools.sim.faults import for_a_while
from tools.sim.happenings import happening, pick
from tools.sim.machine import TITLES
from tools.sim.people import by_app

if TYPE_CHECKING:
    from tools.sim.broker_process import BrokerProcess
    from tools.sim.world import World

# How the cloud's end of the network is named.
CLOUD = "cloud"
# Seconds in which a broker hands over what came while a machine was away.
HAND_OVER_SECONDS = 15.0
# A worker is back within so many seconds.
BEGIN_SECONDS = 20.0


def _broker(world: World) -> BrokerProcess | None:
    """Return the broker, and count a fault, if there is one."""
    if world.broker is not None:
        world.observer.count("faults")
    return world.broker


def _connection(broker: BrokerProcess, name: str) -> object:
    """Return the connection that the broker has of a machine, None for none."""
    session = None if broker.core is None else broker.core.sessions.get(name)
    return None if session is None else session.connection


def _way_of_the_cloud(world: World) -> Any:
    """Return the cloud's path to a broker that is elsewhere, None for one that is beside it."""
    broker = _broker(world)
    return None if broker is None or broker.kind.is_beside else world.net.path(CLOUD)


@happening("broker kill")
def _kill(world: World, _chance: float) -> None:
    if (broker := _broker(world)) is not None:
        broker.kill()


@happening("broker restart")
def _restart(world: World, _chance: float) -> None:
    """Let somebody renew it: it ends in order."""
    if (broker := _broker(world)) is not None:
        broker.stop()


@happening("broker power cut")
def _power_cut(world: World, chance: float) -> None:
    broker = _broker(world)
    if broker is not None and not broker.kind.is_beside:  # that one goes with the cloud
        broker.lose_power(5 + 85 * chance)


@happening("broker stands still")
def _stands_still(world: World, chance: float) -> None:
    broker = _broker(world)
    if broker is not None:
        broker.stand_still(still=True)
        for_a_while(world, "broker", 1 + 90 * chance**2, lambda: broker.stand_still(still=False))


@happening("broken off in an order")
def _broken_off(world: World, chance: float) -> None:
    """Kill the machine's process when an order has come, or break its connection: the broker hands it over again."""
    if _broker(world) is not None:
        by_app(world, "play", pick(chance * 7 % 1, "next", *TITLES))
        cut = functools.partial(world.net.forget, world.machine.name)
        world.later(0.05 + 0.4 * chance, pick(chance * 13 % 1, cut, world.machine.kill))


@happening("held at the door")
def _held_at_the_door(world: World, chance: float) -> None:
    """Hold what a broker hands over to a machine that is back: an order that came meanwhile arrives after its deadline."""
    broker, name = _broker(world), world.machine.name
    if broker is None:
        return
    before = _connection(broker, name)
    world.net.forget(name)
    world.later(0.1, lambda: by_app(world, "play", pick(chance * 7 % 1, *TITLES)))
    path, end = world.net.path(name), world.loop.time() + HAND_OVER_SECONDS

    def look() -> None:
        now = _connection(broker, name)
        if now is not None and now is not before and path.up:
            path.proxied = True
            path.set_up(up=False)
            for_a_while(world, "network down", 8 + 6 * chance, let_go)
        elif world.loop.time() < end:
            world.later(0.01, look)

    def let_go() -> None:
        path.set_up(up=True)
        path.proxied = False

    world.later(0.4, look)


@happening("cloud is cut off")
def _cut_off(world: World, _chance: float) -> None:
    if _way_of_the_cloud(world) is not None:
        world.net.reset(CLOUD)


@happening("broken off at its begin")
def _broken_off_at_its_begin(world: World, _chance: float) -> None:
    """Break a worker's connection off, and the next one as soon as the broker has let it in."""
    broker = _broker(world)
    if broker is None:
        return
    world.net.reset(CLOUD)
    end = world.loop.time() + BEGIN_SECONDS

    def look() -> None:
        worker, name = world.cloud.worker, f"worker-{world.cloud.members.who}"
        begins = worker is not None and not worker.ready.is_set()
        if begins and _connection(broker, name) is not None:
            world.net.reset(CLOUD)
        elif world.loop.time() < end:
            world.later(0.005, look)

    world.later(0.1, look)


@happening("cloud is half open")
def _half_open(world: World, chance: float) -> None:
    if _way_of_the_cloud(world) is not None:
        world.net.half_open(CLOUD, server_forgets=chance < 0.5)


@happening("cloud is away")
def _away(world: World, chance: float) -> None:
    path = _way_of_the_cloud(world)
    if path is not None:
        path.set_up(up=False)
        undo = lambda: path.set_up(up=True)  # noqa: E731  # two words
        for_a_while(world, "cloud's network", 3 + 240 * chance**2, undo)
