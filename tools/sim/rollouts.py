"""Rollouts in a simulated world: a version that goes to its machines by phases, what operators do to it, and kills between.

The world's machine is one of four that the cloud has; the others are `tools.sim.fleet`'s. What may be is judged by
`tools.sim.rollout_watch`, of what the store shows at each look.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from staging.errors import StagingError
from staging.gateway.silent import Pace
from staging.store import found, releases, rollout_acts, tags
from staging.store import rollouts as plans
from staging.store.models import RELEASED, Device, OtaTask, Strategy
from staging.store.releases import StrategyType
from staging.store.rollout_models import Rollout
from staging.times import now_ms
from tools.sim import paces
from tools.sim.clock import START
from tools.sim.fleet import FleetMachine, Received
from tools.sim.machine import Faulty
from tools.sim.people import begin
from tools.sim.repository import VERSIONS
from tools.sim.rollout_watch import REFUSED, Order, Plan, RolloutWatch, Seen
from tools.sim.scenario import DAY_HOURS, ROLLOUT, Event

if TYPE_CHECKING:
    from staging.store import Database
    from tools.sim.cloud import Cloud
    from tools.sim.world import World

TAG = "nursery"
# Phases of plans; the tag is of one machine.
PHASES = (
    ("25%", "50%", "100%"), ("50%", "100%"), (f"tag:{TAG}", "100%"), (f"tag:{TAG}", "50%", "100%"), ("25%", "75%"),
)  # fmt: skip
# Plans that are never carried out: another number is another order of the machines.
DRAFTS_MAX = 6
LIVE_MAX = 2
# A cloud with rollouts looks for them as often as a real one, in a day a few times as rarely.
DAYS_PACE = Pace(scan=60.0, look=60.0, again=60.0)
# Seconds from a rollout's begin until somebody tries again what has failed.
RETRY_SECONDS = (60.0, 120.0, 200.0)
# Seconds from a rollout's begin to its end, and from there until the other machines are switched off.
LIFE_SECONDS, REST_SECONDS = 1800.0, 300.0
# Of a whole day, at least so many seconds from one to the next.
APART_SECONDS = 6 * 3600.0
# Seconds from the end of all faults until rollouts are withdrawn; again, should the store be busy.
WITHDRAW_SECONDS = (1.0, 20.0, 60.0)
# Seconds from a phase's opening, in its transaction, to a kill.
KILL_SECONDS = (0.0, 0.0005, 0.004, 0.05, 3.0)
NEW_VERSION, UPDATE = "/v1/device/ota/new_version", "/v1/device/ota/update"


def pace_of(events: Sequence[Event], hours: float, *, is_looked_for: bool) -> Pace:
    """Return how often a world's cloud looks for orders and rollouts: never, without any, unless it is told that orders may wait otherwise."""
    if not is_looked_for and not any(event.what in ROLLOUT for event in events):
        return paces.GATEWAY if hours < DAY_HOURS else paces.GATEWAY_OF_DAYS
    return Pace() if hours < DAY_HOURS else DAYS_PACE


class Rollouts:
    """Those of one world."""

    def __init__(self, world: World) -> None:
        """Have none; nothing is made before the first."""
        self._world = world
        self._rng = random.Random(f"rollouts {world.seed}")  # noqa: S311  # a simulation
        self.watches: dict[int, RolloutWatch] = {}
        self.fleet: dict[str, FleetMachine] = {}
        self._versions: dict[int, str] = {}
        self.kills_at_opening = False
        self._begun_at = -APART_SECONDS
        self._withdrawn: set[int] = set()
        self._halts: set[tuple[int, int]] = set()
        self._told: set[tuple[str, Received]] = set()
        self._orders: dict[int, int] = {}
        """Which rollout an order is of."""
        self._steps_seen = 0
        """Calls that had changed something on the cloud's disk at the last look."""

    @property
    def broken(self) -> list[str]:
        """What may not be."""
        return [
            f"rollout {number}: {text}"
            for number, watch in self.watches.items()
            for text in watch.broken
        ]

    # What happens.

    def begin(self, chance: float) -> None:
        """Roll a version out, if not two go on already."""
        live = {self._versions[number] for number in self.watches if number not in self._withdrawn}
        free = [version for version in VERSIONS if version not in live]
        if len(live) >= LIVE_MAX or not free or self._was_just_now():
            self.act(chance)
            return
        self._begun_at = self._world.loop.time()
        self.switch_on()
        version = free[int(chance * len(free))]
        rng = random.Random(chance)  # noqa: S311  # a simulation
        if rng.random() < 0.4:
            for seconds in RETRY_SECONDS:
                self._world.later(seconds, lambda: self._retry(version))
            for machine in rng.sample(sorted(self.fleet), rng.randint(1, 3)):
                self.fleet[machine].bad = {*self.fleet[machine].bad, version}
        self._world.machine.versions.setdefault(version, Faulty())
        self.kills_at_opening = rng.random() < 0.5
        phases = [phase.replace(TAG, f"{TAG} {len(self.watches)}") for phase in rng.choice(PHASES)]
        plan = Plan(
            phases, 4, frozenset({self._uuids[rng.randrange(4)]}), rng.randint(10, 60),
            rng.choice([1, 2, 60]),
        )  # fmt: skip
        kind = StrategyType.SILENT if rng.random() < 0.8 else StrategyType.PASSIVE
        begin(self._world, self._begin(plan, version, kind, rng.randrange(DRAFTS_MAX)))

    def _was_just_now(self) -> bool:
        """Return whether the last one of a whole day began a short while ago: each takes as much as some hours."""
        is_day = self._world.cloud.pace is DAYS_PACE
        return is_day and self._world.loop.time() - self._begun_at < APART_SECONDS

    @property
    def _uuids(self) -> list[str]:
        return [uuid for uuid, _, _ in self._world.cloud.template.uuids]

    def flood(self) -> None:
        """Let one of the other machines report far more than its share."""
        self.switch_on()
        self.fleet[self._uuids[-1]].flood()
        self._world.later(LIFE_SECONDS, self._switch_off)

    def switch_on(self) -> None:
        """Let the other machines be there."""
        if not self.fleet:
            self._make_fleet()
        for machine in self.fleet.values():
            machine.start()

    def _make_fleet(self) -> None:
        world = self._world
        for number, uuid in enumerate(self._uuids[1:], 1):
            rng = random.Random(f"fleet {world.seed} {number}")  # noqa: S311  # a simulation
            profile = world.cloud.template.profile(number)
            made = self.fleet[uuid] = FleetMachine(world.machine.on, profile, rng)
            if world.cloud.quotas is not None:
                made.on_taken = functools.partial(world.cloud.quotas.note, uuid)

    async def _begin(self, plan: Plan, version: str, kind: StrategyType, drafts: int) -> None:
        database = self._world.cloud.database
        if database is None:
            return
        try:
            number = await database.write(_plan, plan, version, kind, drafts)
        except (StagingError, SQLAlchemyError):
            return
        self.watches[number], self._versions[number] = RolloutWatch(plan), version
        self._world.later(LIFE_SECONDS, lambda: self._end(number))
        self._world.observer.count("rollouts")
        await self._do(database, number, "start")

    def _retry(self, version: str) -> None:
        database = self._world.cloud.database
        for number, each in self._versions.items():
            if each == version and number not in self._withdrawn and database is not None:
                begin(self._world, self._do(database, number, "retry"))

    def _end(self, number: int) -> None:
        """Let an operator withdraw a rollout that is old; the other machines are switched off when none goes on."""
        database = self._world.cloud.database
        if number not in self._withdrawn and database is not None:
            begin(self._world, self._do(database, number, "withdraw"))
        self._world.later(REST_SECONDS, self._switch_off)

    def _switch_off(self) -> None:
        if len(self._withdrawn) == len(self.watches):
            for machine in self.fleet.values():
                machine.stop()

    def act(self, chance: float) -> None:
        """Let an operator do something to one of those that go on."""
        live = [number for number in self.watches if number not in self._withdrawn]
        database = self._world.cloud.database
        if not live or database is None:
            return
        number = live[int(chance * len(live)) % len(live)]
        acts = (
            "pause",
            "resume",
            "resume",
            "retry",
            "retry",
            "open",
            "withdraw",
            "recall",
            "pause",
        )
        begin(self._world, self._do(database, number, acts[int(chance * 97) % len(acts)]))

    async def _do(self, database: Database, number: int, act: str) -> None:
        watch = self.watches[number]
        if watch.is_busy(self._now()):
            return
        name = "withdraw" if act == "recall" else act
        watch.begin(name, self._now())
        try:
            await _ACTS[act](database, number)
        except (StagingError, SQLAlchemyError):  # not in this state, or the store is busy
            watch.failed()
            return
        watch.done(name, self._now())
        if name == "withdraw":
            self._withdrawn.add(number)
        self._world.observer.count(f"rollout {act}")

    def _now(self) -> int:
        return int((START + self._world.loop.time()) * 1000)

    def note_opening(self) -> None:
        """Hear, in the midst of its transaction, that the cloud opens a phase by itself."""
        self._world.observer.count("phases opened")
        if self.kills_at_opening:
            self.kills_at_opening = False
            seconds = self._rng.choice(KILL_SECONDS)
            self._world.later(seconds, self._world.cloud.kill)

    def end_all(self) -> None:
        """Withdraw all at the end of a world, so that each order has its end."""
        for seconds in WITHDRAW_SECONDS:
            self._world.later(seconds, self._withdraw_all)

    def _withdraw_all(self) -> None:
        database = self._world.cloud.database
        for number in self.watches:
            if number not in self._withdrawn and database is not None:
                begin(self._world, self._do(database, number, "withdraw"))

    def look_for_update(self, chance: float) -> None:
        """Let an app ask what is offered to one of its machines (open API 5.1)."""
        api, world = self._world.cloud.api, self._world
        if api is None or not self.watches:
            return
        uuid, key = self._uuids[int(chance * 4)], world.observer.apps.tokens.key
        asked = self._now()

        async def ask() -> None:
            query = f"deviceUuid={uuid}"
            sent = await api.call("GET", NEW_VERSION, key.headers(), query=query)
            told = json.loads(b"".join(message.get("body", b"") for message in sent)).get("data")
            number = told.get("strategyId") if isinstance(told, dict) else None
            if number in self.watches and not told["otaTaskId"]:
                world.observer.count("offers seen")
                self.watches[number].note_offer(uuid, asked)
                if chance * 7 % 1 < 0.5:
                    body = {
                        "deviceUuid": uuid,
                        "packageId": told["packageId"],
                        "strategyId": number,
                    }
                    await api.call("POST", UPDATE, key.headers(), json.dumps(body).encode())

        begin(world, ask())

    # What is seen.

    def look(self) -> None:
        """Compare the store with what may be; nothing is read without a rollout."""
        cloud = self._world.cloud
        if not self.watches or cloud.database is None or len(self._withdrawn) > len(self.watches):
            return
        now, steps = self._now(), cloud.mount.steps
        if steps == self._steps_seen:
            return  # nothing was written since
        self._steps_seen = steps
        for number, seen in _read(cloud, list(self.watches)).items():
            if seen.halt_time is not None and (number, seen.halt_time) not in self._halts:
                self._halts.add((number, seen.halt_time))
                self._world.observer.count("rollouts halted")
            self._orders.update({order.id: number for order in seen.orders})
            self.watches[number].note_versions(seen, self._versions[number], self._running())
            self.watches[number].look(seen, now)
        for machine in self.fleet.values():
            for received in machine.received:
                number = self._orders.get(int(received.transaction), 0)
                if number and (machine.name, received) not in self._told:
                    self._told.add((machine.name, received))
                    at = int((START + received.at) * 1000)
                    self.watches[number].note_order(machine.name, at)

    def _running(self) -> dict[str, str]:
        """Return which version each machine runs, by its device."""
        own = self._world.machine
        whole = {own.name: own.running} if own.running else {}
        return {**whole, **{name: each.version for name, each in self.fleet.items()}}

    def judge_end(self) -> None:
        """Compare the ends of all orders with what became of them."""
        cloud = self._world.cloud
        if not self.watches or cloud.database is None:
            return
        ends = {
            name: machine.ends
            for name, machine in self.fleet.items()
            if not self._is_held_back(machine)
        }
        for number, seen in _read(cloud, list(self.watches)).items():
            self.watches[number].judge_end(seen, ends)

    def _is_held_back(self, machine: FleetMachine) -> bool:
        """Return whether the cloud may not know yet what a machine did: it waits for its share to grow, behind a flood of its own."""
        quotas, size = self._world.cloud.quotas, machine.next_size
        return quotas is not None and size > 0 and quotas.may_refuse(machine.name, size)


def _plan(session: Any, plan: Plan, version: str, kind: StrategyType, drafts: int) -> int:
    now = now_ms()
    product = session.get_one(Device, 1).product_id
    package = releases.package_of(session, product, version)
    package.status = RELEASED  # as a tester does who has verified it
    for uuid in plan.tagged:
        wanted = [phase.removeprefix("tag:") for phase in plan.phases if phase.startswith("tag:")]
        tags.change(session, found.device(session, uuid).id, wanted)
    for _ in range(drafts):
        releases.add_strategy(session, version, kind, [], [], now)
    made = releases.add_strategy(session, version, kind, [], [], now)
    settings = {
        "soak": plan.soak, "sample": 1, "link": 0, "hours": 0, "sound": 0, "perMinute": plan.per_minute,
    }  # fmt: skip
    plans.set_plan(session, made.id, plan.phases, settings)
    return int(made.id)


Act = Callable[["Database", int], Awaitable[Any]]
_ACTS: dict[str, Act] = {
    "start": lambda database, number: database.write(rollout_acts.start, number, now_ms()),
    "pause": lambda database, number: database.write(rollout_acts.pause, number),
    "resume": lambda database, number: database.write(rollout_acts.resume, number, now_ms()),
    "retry": lambda database, number: database.write(rollout_acts.retry, number, now_ms()),
    "open": lambda database, number: database.write(rollout_acts.open_next, number, now_ms()),
    "withdraw": lambda database, number: database.write(rollout_acts.withdraw, number, now_ms()),
    "recall": lambda database, number: database.write(rollout_acts.withdraw, number, now_ms(), recall=True),
}  # fmt: skip


def _read(cloud: Cloud, numbers: Sequence[int]) -> dict[int, Seen]:
    """Return what the store shows of rollouts, nothing if it cannot be read now; read beside the cloud's own work."""
    database: Any = cloud.database

    def read() -> dict[int, Seen]:
        with database._session() as session:  # noqa: SLF001  # `read` would take its place among the cloud's own
            return _seen(session, numbers)

    try:
        return cloud.context.copy().run(read)
    except SQLAlchemyError:
        return {}


def _seen(session: Any, numbers: Sequence[int]) -> dict[int, Seen]:
    rows = session.execute(
        select(Strategy.id, Strategy.status, Rollout)
        .join(Rollout, Rollout.strategy_id == Strategy.id)
        .where(Strategy.id.in_(numbers))
    ).all()
    orders: dict[int, list[Order]] = {}
    tasks = select(OtaTask, Device.uuid).join(Device, Device.id == OtaTask.device_id)
    for task, uuid in session.execute(tasks.where(OtaTask.strategy_id.in_(numbers))):
        is_evidence = not task.cancel and not (task.failure or "").startswith(REFUSED)
        made = Order(task.id, uuid, task.status, task.create_time, task.end_time, is_evidence)
        orders.setdefault(task.strategy_id, []).append(made)
    return {
        number: Seen(
            status, len(row.cuts or []), row.phase_time, row.reason.get("time"), row.since,
            orders.get(number, ()),
        )
        for number, status, row in rows
    }  # fmt: skip


def watch_openings(rollouts: Callable[[], Rollouts | None]) -> None:
    """Tell a world's rollouts of phases that the cloud opens, for the rest of the process; nothing is changed by that."""
    act = rollout_acts.act

    def noted_act(session: Any, found: Any, now: int) -> Any:
        done = act(session, found, now)
        if done is not None and done.opens and (told := rollouts()) is not None:
            told.note_opening()
        return done

    rollout_acts.act = noted_act
