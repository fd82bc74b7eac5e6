"""What a simulated cloud keeps for days of its own: used nonces, the audit log, and the figures of the fleet.

A nonce is kept for as long as an access token is valid, and a token that has ended for as long again: 60 days, which no world
lasts. Some worlds have shorter ones, and an audit log and figures that go after a minute or more. What is deleted is compared
row by row, as what `tools.sim.pruning` watches; and what an app was told to be done is looked for in the audit log.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from staging.api import auth, authorize
from staging.fleet_watch import FleetWatch
from staging.store import apps, audit, health
from staging.store.fleet_models import FleetSample, HealthPart
from staging.store.models import AccessToken, AuditEntry, UsedNonce
from staging.times import now_ms
from tools.sim.clock import START
from tools.sim.faults import for_a_while
from tools.sim.people import begin, by_app

if TYPE_CHECKING:
    from tools.sim.open_api import OpenApi
    from tools.sim.world import World

DAY_MS = 86_400_000
NONCES, ENDED, AUDIT, FIGURES, SAMPLES = (
    "used nonces", "tokens that have ended", "the audit log", "how devices do", "samples of the fleet",
)  # fmt: skip
# The product's, as docs/accounts.md, docs/alarms.md and the open API's section 1.1 have them.
KEPT_MS: Mapping[str, int] = {
    NONCES: 60 * DAY_MS, ENDED: 60 * DAY_MS, AUDIT: 400 * DAY_MS, FIGURES: 40 * DAY_MS, SAMPLES: 14 * DAY_MS,
}  # fmt: skip
PART_MS = 300_000
SHORTEST_SECONDS = 60
# Seconds between two looks for what is to be in the audit log, and how many there are: a store without room is tried again.
ENTRY_SECONDS, LOOKS = 15.0, 3
# Seconds for which a disk is full, and those after which something is ordered meanwhile.
FULL_SECONDS, ORDERED_SECONDS = 12.0, (1.0, 5.0)
# Seconds until a cloud serves.
BEGIN_SECONDS = 0.05
# What happens only in worlds with such days.
NAME = "old request"

Rows = Mapping[str, Mapping[Any, int]]


@dataclass(frozen=True, slots=True)
class Ages:
    """How long a world's cloud keeps each of them, ms; its tokens are valid for ``lifetime`` seconds."""

    lifetime: int
    kept: Mapping[str, int]

    @classmethod
    def of(cls, seed: int, hours: float) -> Ages:
        """Return a seed's."""
        rng = random.Random(f"ages {seed}")  # noqa: S311  # a simulation
        longest = max(SHORTEST_SECONDS, hours * 900)
        lifetime, *rest = (round(rng.uniform(SHORTEST_SECONDS, longest)) for _ in range(4))
        names = (AUDIT, FIGURES, SAMPLES)
        kept = {name: seconds * 1000 for name, seconds in zip(names, rest, strict=True)}
        return cls(lifetime, {NONCES: lifetime * 1000, ENDED: lifetime * 1000, **kept})


def set_ages(ages: Ages | None) -> None:
    """Let the product's days be those of ``ages``, for the next world; None: the usual ones."""
    kept = KEPT_MS if ages is None else ages.kept
    for module in (apps, auth, authorize):
        named: Any = module
        named.TOKEN_LIFETIME_S = kept[NONCES] // 1000
    audit.KEPT_MS, health.KEPT_MS, health.SAMPLES_KEPT_MS = (
        kept[AUDIT], kept[FIGURES], kept[SAMPLES],
    )  # fmt: skip
    health.PART_MS = PART_MS if ages is None else kept[FIGURES] // 4


def read(session: Any) -> dict[str, dict[Any, int]]:
    """Return each row's time by its key, of each kind."""
    kinds = {
        NONCES: select(UsedNonce.use_time, UsedNonce.app_id, UsedNonce.nonce),
        ENDED: select(AccessToken.expire_time, AccessToken.digest),
        AUDIT: select(AuditEntry.ts, AuditEntry.id),
        FIGURES: select(
            HealthPart.start, HealthPart.start, HealthPart.os_version_id, HealthPart.batch_id
        ),
        SAMPLES: select(FleetSample.ts, FleetSample.ts),
    }
    return {
        kind: {tuple(key): ts for ts, *key in session.execute(wanted)}
        for kind, wanted in kinds.items()
    }


class AgeWatch:
    """Of one world, over all starts of its cloud."""

    def __init__(self, ages: Ages | None) -> None:
        """Judge by ``ages``; None: by the documents."""
        self._kept = KEPT_MS if ages is None else ages.kept
        self.broken: list[str] = []
        self._last: Rows = {}

    def before(self, now: Rows) -> None:
        """Note what is there before a pruning: all that was there after the one before."""
        self._compare(self._last, now, None)

    def after(self, before: Rows, after: Rows, began: int, ended: int, *, is_whole: bool) -> None:
        """Note what is there after a pruning, between two times (ms); ``is_whole``: none of it failed."""
        self._compare(before, after, ended)
        for kind in after if is_whole else ():
            cut = began - self._kept[kind]
            if any(before[kind][key] < cut for key in before[kind].keys() & after[kind].keys()):
                self.broken.append(f"of {kind} one is kept for too long")
        self._last = after

    def _compare(self, before: Rows, after: Rows, now: int | None) -> None:
        """Find what is gone that may not be, of what was pruned at ``now``; None: nothing was."""
        for kind, rows in before.items():
            if kind == ENDED:  # a family takes them back, too
                continue
            gone = [rows[key] for key in rows.keys() - after[kind].keys()]
            if any(now is None or ts >= now - self._kept[kind] for ts in gone):
                self.broken.append(f"of {kind} one is gone, and was to be kept")


# What a world with such days does beside.


def begin_ages(world: World, ages: Ages) -> None:
    """Let the app's first token end as all others do, and look for what it has done in the audit log."""
    tokens = world.observer.apps.tokens

    async def end() -> None:
        if world.cloud.database is not None:
            await tokens.end(world.cloud.database, ages.lifetime)

    world.later(BEGIN_SECONDS, lambda: begin(world, end()))
    world.observer.apps.on_done = functools.partial(_expect_entry, world)


def watch_fleet(database: Any, gateway: Any) -> Any:
    """Return the work that counts and samples, as the server's."""
    return FleetWatch(database, gateway, now_ms, samples=True).run()


def _expect_entry(world: World, api: OpenApi, began: float) -> None:
    ended = world.loop.time()
    world.later(
        ENTRY_SECONDS, functools.partial(_look_for_entry, world, api, (began, ended), LOOKS - 1)
    )


def _look_for_entry(world: World, api: OpenApi, times: tuple[float, float], looks: int) -> None:
    """Find what an app did between two times in the audit log of a process that has not ended since."""
    cloud = world.cloud
    others = () if cloud.second is None else (cloud.second.api,)
    if api not in {cloud.api, *others} or cloud.database is None or cloud.mount.full:
        return
    began, ended = (int((START + each) * 1000) for each in times)
    wanted = select(func.count()).where(
        AuditEntry.ts >= began - 1,
        AuditEntry.ts <= ended + 1,
        AuditEntry.action == "device.control",
    )
    database: Any = cloud.database
    found = 1
    with contextlib.suppress(SQLAlchemyError), database._session() as session:  # noqa: SLF001  # beside the cloud's own reads
        found = session.scalar(wanted)
    if found:
        world.observer.count("entries of the audit log")
    elif looks:
        again = functools.partial(_look_for_entry, world, api, times, looks - 1)
        world.later(ENTRY_SECONDS, again)
    else:
        told = f"at {times[1]:.0f} s"
        world.observer.apps.broken.append(
            f"what an app did {told} is not in the audit log {world.loop.time() - times[1]:.0f} s later"
        )


def old_request(world: World, chance: float) -> None:
    """Somebody who has listened sends the oldest request again that was heard: its nonce is used, or its token has ended."""
    api, heard = world.cloud.some_api(), world.observer.apps.heard
    if api is not None and heard:
        at = int(chance * len(heard) / 2)
        begin(world, world.observer.apps.ask_again(api, heard[at]), api)


def order_without_room(world: World, chance: float) -> None:
    """Let an app order something while the cloud's disk is full: it is done, and noted once there is room."""
    mount = world.cloud.mount
    mount.full = True

    def undo() -> None:
        mount.full = world.cloud.mount.full = False

    for_a_while(world, "full cloud", FULL_SECONDS, undo)
    for seconds in ORDERED_SECONDS:
        value = str((int(chance * 16) + int(seconds)) % 8)
        world.later(seconds, functools.partial(by_app, world, "volume", value))


HAPPENINGS = {NAME: old_request, "order without room": order_without_room}
