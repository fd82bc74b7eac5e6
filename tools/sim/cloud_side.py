"""What happens on the cloud's side of a simulated world, by name (`tools.sim.scenario`): tokens of the open API, rollouts, quotas."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StagingError
from staging.gateway.session import REQUEST_LIMIT
from tools.sim.cloud_files import NOTICED_SECONDS, REFUSED_SECONDS
from tools.sim.faults import for_a_while
from tools.sim.open_api import order
from tools.sim.people import begin, by_app
from tools.sim.repository import VERSIONS

if TYPE_CHECKING:
    from staging.store import Database
    from tools.sim.world import World

# Seconds until a version is ordered whose package is damaged: the power is back by then.
ORDER_SECONDS = 100.0
# Seconds until a version is ordered whose package is another one while its cloud runs.
ROTTEN_SECONDS = 3.0
# How often a cloud whose store is damaged as it runs is killed before that is put back.
KILLED_PART = 0.4
# Seconds from a cut on a full disk until the disk has room again, at least and more; and until a request is sent again meanwhile.
FULL_SECONDS, MORE_SECONDS, AGAIN_SECONDS = 130.0, 300.0, 100.0
# Seconds for which the packages' server has no time.
BUSY_SECONDS = 90.0
# Seconds after the end of all faults at which machine and cloud have found each other again.
RESTING_SECONDS = 60.0
# Seconds until a token ends, and those of requests around that.
TOKEN_SECONDS = 30.0
AROUND = (-0.2, -0.01, 0.0, 0.01, 0.2, 3.0)


def at_store(world: World, work: Callable[[Database], Awaitable[Any]]) -> None:
    """Let an operator change something in the cloud's store; nothing is changed while that takes none."""
    database = world.cloud.database

    async def change() -> None:
        if database is not None:
            with contextlib.suppress(StagingError, SQLAlchemyError):
                await work(database)

    begin(world, change())


def token_ends(world: World, chance: float) -> None:
    """Let the app's token expire soon; it sends orders before, at that moment and after."""
    tokens, seconds = world.observer.apps.tokens, TOKEN_SECONDS * chance
    at_store(world, lambda database: tokens.end(database, seconds))
    for step, part in enumerate(AROUND):
        value = str((step + int(chance * 16)) % 16)
        give = functools.partial(by_app, world, "volume", value)
        world.later(max(0.0, seconds + part), give)


def token_taken_back(world: World, chance: float) -> None:
    """Let the family take the app's token back, or change its password; who has the token tries it at once."""
    tokens = world.observer.apps.tokens

    async def take_back(database: Database) -> None:
        await tokens.take_back(database, by_password=chance < 0.3)
        old_token(world, 1.0)

    at_store(world, take_back)


def old_token(world: World, chance: float) -> None:
    """Somebody tries a token that has ended: the latest, or one of before."""
    api, apps = world.cloud.api, world.observer.apps
    if api is not None and apps.tokens.old:
        at = int(chance * len(apps.tokens.old))
        key = apps.tokens.old[min(at, len(apps.tokens.old) - 1)]
        request = order(key, world.machine.name, "volume", str(int(chance * 15)))
        begin(world, apps.ask(api, request))


def rollout(world: World, chance: float) -> None:
    """Let an operator roll a version out."""
    world.rollouts.begin(chance)


def rollout_act(world: World, chance: float) -> None:
    """Let an operator pause, resume, try again, open, or withdraw a rollout."""
    world.rollouts.act(chance)


def look_for_update(world: World, chance: float) -> None:
    """Let an app look for an update of one of its machines, and order it now and then."""
    world.rollouts.look_for_update(chance)


def flood(world: World, _chance: float) -> None:
    """Let a machine report far more than its share of a day; there is one where the cloud's days are short."""
    if world.cloud.prune_watch is not None:
        world.rollouts.flood()


def bit_flip(world: World, chance: float) -> None:
    """Let a bit of one of the cloud's own files be another one when its power comes back."""
    world.observer.count("faults")
    world.cloud.files.wanted = chance
    world.cloud.lose_power("power cut, and a bit of its disk is another one")
    world.later(ORDER_SECONDS, lambda: _order_damaged(world))


def bit_rot(world: World, chance: float) -> None:
    """Let a bit of one of the cloud's own files, but for its store, be another one while it runs; an operator puts that back after a while."""
    world.observer.count("faults")
    cloud = world.cloud
    cloud.files.rot(cloud.mount, chance)
    if cloud.files.path:
        seconds = REFUSED_SECONDS + NOTICED_SECONDS * (chance * 70 % 1)
        world.later(seconds, cloud.put_back)
        world.later(ROTTEN_SECONDS, lambda: _order_damaged(world))


def store_rots(world: World, chance: float) -> None:
    """Let a bit of the cloud's store be another one while it runs; an operator puts the store back as it was after a while."""
    world.observer.count("faults")
    cloud = world.cloud
    cloud.files.rot_store(cloud.mount, chance)
    if cloud.files.path:
        seconds = REFUSED_SECONDS + NOTICED_SECONDS * (chance * 70 % 1)
        world.later(seconds, cloud.put_back)
        if chance * 13 % 1 < KILLED_PART:  # so that the next process finds it
            world.later(REFUSED_SECONDS / 2, cloud.kill)


def cut_while_full(world: World, chance: float) -> None:
    """Let the cloud's power go while its disk is full, and stay so; somebody who has listened sends a request again meanwhile."""
    cloud, apps = world.cloud, world.observer.apps
    cloud.mount.full = cloud.stays_full = True
    cloud.lose_power("power cut, and its disk is full")

    def undo() -> None:
        cloud.mount.full = cloud.stays_full = False

    def send_again() -> None:
        api = cloud.some_api()
        if api is not None and apps.heard:
            begin(world, apps.ask_again(api, apps.heard[-1]), api)

    world.later(AGAIN_SECONDS, send_again)
    for_a_while(world, "cloud cut while full", FULL_SECONDS + MORE_SECONDS * chance, undo)


def repository_is_busy(world: World, chance: float) -> None:
    """Let the packages' server have no time, without a word of until when, as a version is ordered."""
    world.web.is_busy = True

    def undo() -> None:
        world.web.is_busy = False

    for_a_while(world, "busy repository", BUSY_SECONDS, undo)
    version = VERSIONS[int(chance * len(VERSIONS))]
    for seconds in (1.0, BUSY_SECONDS / 2):
        world.later(seconds, lambda: begin(world, world.cloud.order(world.machine.name, version)))


def order_among_many(world: World, chance: float) -> None:
    """Let a version be ordered while as many requests wait for the machine as may: it cannot be sent then, and the machine stays there.

    Once more when all faults are over: a machine that comes back is sent what waits.
    """
    again = functools.partial(_order_among_many, world, 1.0 - chance)
    world.at_rest["order among many"] = lambda: world.later(RESTING_SECONDS, again)
    _order_among_many(world, chance)


def _order_among_many(world: World, chance: float) -> None:
    gateway, name = world.cloud.gateway, world.machine.name

    async def ask() -> None:
        if gateway is not None:
            with contextlib.suppress(StagingError, SQLAlchemyError):
                await gateway.control(name, "volume", "GET", None)

    for _ in range(REQUEST_LIMIT):
        begin(world, ask())
    version = VERSIONS[int(chance * len(VERSIONS)) % len(VERSIONS)]
    begin(world, world.cloud.order(name, version))


def _order_damaged(world: World) -> None:
    """Let somebody order the version whose package is damaged, if one is."""
    for version, offered in world.repository.offered.items():
        if world.cloud.files.path == f"/tuf/{offered.path}":
            begin(world, world.cloud.order(world.machine.name, version))


def twins(world: World, _chance: float) -> None:
    """Let two machines have one identity."""
    world.twins.begin()


def twin_leaves(world: World, chance: float) -> None:
    """Let one of these lose its power, and come back."""
    world.twins.leave(chance)


def worker_kill(world: World, chance: float) -> None:
    """Kill the cloud's second worker, where it has one; it comes back at once, or is missing for a while."""
    if world.cloud.second is not None:
        world.observer.count("faults")
        world.cloud.second.kill(3.0 if chance < 0.3 else 300.0 * chance)


HAPPENINGS = {
    "worker kill": worker_kill,
    "twins": twins,
    "twin leaves": twin_leaves,
    "cloud bit flip": bit_flip,
    "cloud bit rot": bit_rot,
    "cloud store rots": store_rots,
    "cloud cut while full": cut_while_full,
    "busy repository": repository_is_busy,
    "order among many": order_among_many,
    "flood": flood,
    "rollout": rollout,
    "rollout act": rollout_act,
    "look for an update": look_for_update,
    "token ends": token_ends,
    "token is taken back": token_taken_back,
    "old token": old_token,
}
