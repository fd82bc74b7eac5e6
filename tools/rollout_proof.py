"""Rolls versions out to 1,000 simulated devices, in a real store and on a clock that is moved, and counts what is halted.

    python -m tools.rollout_proof [--seeds 100] [--first 0] [--devices 1000] [--only bad|good] [--write FILE]

For each seed and each version a store is filled with devices of random uuids. The phases are 1 %, 5 %, 20 % and 100 %;
orders, answers, ends, the cloud's looks each minute, and their decisions go through the functions that the server uses.
Exit code 0 only if the version that fails on 10 % is halted with 5 % of the devices or fewer in at least 95 of 100
seeds, and the good one is halted in at most 2.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from staging.rollouts import phases
from staging.rollouts.decision import State
from staging.rollouts.phases import Machine
from staging.rollouts.settings import FIELDS
from staging.store import (
    Database,
    devices,
    ota,
    product_setup,
    products,
    releases,
    rollout_acts,
    rollouts,
    silent_orders,
)
from staging.store.models import Device
from staging.store.order_rules import Status
from staging.store.releases import StrategyType, Target
from staging.store.silent_orders import SILENT_PAUSE_MS
from tools.amounts import whole

PHASES = ("1%", "5%", "20%", "100%")
SETTINGS = {"soak": 1800, "hours": 0.5, "open": 1000, "perMinute": 1000}
GATE = FIELDS["success"].default
MINUTE = 60_000
START = 1_800_000_000_000
# Minutes from an order to its end, and after which a rollout that neither ends nor halts counts as held.
UPDATE_MINUTES = 5
HEARD_MINUTES = 15
MINUTES = 3000


@dataclass(frozen=True)
class Version:
    """How a version fails: for good on a share of the devices, and by chance at each order."""

    name: str
    lasting: float
    chance: float


VERSIONS = {
    "bad": Version("fails on 10 % of the devices", 0.10, 0.01),
    "good": Version("good: 1 % of the orders fail by chance", 0.0, 0.01),
}


@dataclass
class Run:
    """One rollout."""

    version: Version
    random: random.Random
    now: int = START
    number: int = 0
    uuids: dict[int, str] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    running: dict[int, int] = field(default_factory=dict)
    retries: dict[int, int] = field(default_factory=dict)
    ordered: set[int] = field(default_factory=set)

    def prepare(self, session: Session, count: int) -> None:
        """Fill a store, and start the rollout."""
        product = products.default_product(session, START)
        _, made = product_setup.add_batch(session, product.id, "fleet", count, START)
        for device in made:
            device.uuid = f"{self.random.getrandbits(56):014x}"
        self.uuids = {each.id: each.uuid for each in made}
        devices.note_heard(session, dict.fromkeys(self.uuids, START))
        self.broken = {each.id for each in made if self.random.random() < self.version.lasting}
        releases.add_package(session, "1.1", Target("p", 1, "0" * 32, "0" * 64), "", START)
        plan = releases.add_strategy(session, "1.1", StrategyType.SILENT, [], ["fleet"], START)
        self.number = plan.id
        rollouts.set_plan(session, plan.id, PHASES, SETTINGS)
        rollout_acts.start(session, plan.id, START)

    def admitted(self, cuts: Sequence[int]) -> list[int]:
        """Return the devices of the open phases that were not ordered yet."""
        planned = phases.parse(PHASES)
        found = [
            number
            for number, uuid in self.uuids.items()
            if phases.admits(planned, cuts, Machine(phases.place_of(self.number, uuid), "fleet"))
        ]
        return [number for number in found if number not in self.ordered]

    def minute(self, session: Session, fresh: Sequence[int]) -> None:
        """Let a minute pass: updates end, devices are heard, new orders begin."""
        self.now += MINUTE
        if (self.now - START) // MINUTE % HEARD_MINUTES == 0:
            devices.note_heard(session, dict.fromkeys(self.uuids, self.now))
        for device_id in [number for number, due in self.running.items() if due <= self.now]:
            del self.running[device_id]
            self._end(session, session.get_one(Device, device_id))
        again = [number for number, due in self.retries.items() if due <= self.now]
        for device_id in [*fresh, *again]:
            task = silent_orders.order(session, self.uuids[device_id], self.now)
            if task is not None:
                ota.note_answer(session, task.id, None, self.now)
                self.running[device_id] = self.now + UPDATE_MINUTES * MINUTE
                self.retries.pop(device_id, None)
                self.ordered.add(device_id)

    def _end(self, session: Session, device: Device) -> None:
        task = ota.active(session, device.id)
        if task is None:
            return
        fails = device.id in self.broken or self.random.random() < self.version.chance
        task.status = (Status.FAILED if fails else Status.SUCCESS).value
        task.failure = "not proven within 120 s" if fails else None
        task.update_time = task.end_time = self.now
        if fails:
            self.retries[device.id] = self.now + SILENT_PAUSE_MS
        else:
            device.os_version_id = products.os_version(session, device.product_id, "1.1").id


@dataclass(frozen=True)
class Result:
    """What came of one rollout: the state, the open phases, and how many devices were ordered."""

    state: str
    phases: int
    ordered: int

    @property
    def halted(self) -> bool:
        """Whether the cloud halted it."""
        return self.state == State.HALTED


@functools.cache
def _empty() -> bytes:
    """Return the file of an empty store: each seed begins with a copy of it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "cloud.sqlite"
        Database(path).close()
        return path.read_bytes()


def roll_out(version: Version, seed: int, count: int) -> Result:
    """Roll one version out until it is halted, or everybody was ordered and has ended."""
    run = Run(version, random.Random(f"{version.name}{seed}"))  # noqa: S311  # repeatable
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # nothing must survive
        path = Path(folder) / "cloud.sqlite"
        path.write_bytes(_empty())
        database = Database(path)
        try:
            database.call(run.prepare, count)
            return _run(database, run, count)
        finally:
            database.close()


def _run(database: Database, run: Run, count: int) -> Result:
    opened = 0
    for _ in range(MINUTES):
        opened, state = database.call(_minute, run, opened)
        done = len(run.ordered) == count and not run.running
        if state != State.PUBLISHED or (done and opened == len(PHASES)):
            break
    return Result(state, opened, len(run.ordered))


def _minute(session: Session, run: Run, before: int) -> tuple[int, str]:
    row = rollouts.row_of(session, run.number)
    opened = 0 if row is None else len(row.cuts)
    # Devices are looked at when a phase opens, as the server does; of the others `order` would find nothing due.
    fresh = run.admitted(row.cuts) if row is not None and opened > before else []
    run.minute(session, fresh)
    session.flush()
    found = rollout_acts.look(session, run.number, run.now)
    if found is not None:
        rollout_acts.act(session, found, run.now)
    return opened, rollouts.strategy_of(session, run.number).status


def _one(version: Version, seed: int, count: int) -> Result:
    """Roll one out and print what came of it: a proof that is stopped has told the seeds that it did."""
    found = roll_out(version, seed, count)
    print(
        f"{version.name.partition(' ')[0]} seed {seed}: {found.state}, "
        f"phases {found.phases}, ordered {found.ordered}",
        flush=True,
    )
    return found


def main() -> int:
    """Run the proof and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=whole(1), default=100)
    parser.add_argument("--first", type=whole(0), default=0, metavar="N", help="the first seed (0)")
    parser.add_argument("--devices", type=whole(1), default=1000)
    parser.add_argument("--only", choices=VERSIONS)
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    lines, kept = [], []
    for version in VERSIONS.values() if options.only is None else [VERSIONS[options.only]]:
        began = time.process_time()
        seeds = range(options.first, options.first + options.seeds)
        found = [_one(version, seed, options.devices) for seed in seeds]
        early = sum(each.halted and each.phases <= PHASES.index("5%") + 1 for each in found)
        halted = sum(each.halted for each in found)
        orders = sorted(each.ordered for each in found)[len(found) // 2]
        lines.append(
            f"{version.name}: {options.seeds} seeds of {options.devices} devices with a gate of {GATE:g} %, "
            f"halted {halted}, of these in the 5 % phase or before {early}; "
            f"devices ordered, median {orders}; {time.process_time() - began:.0f} s of processor time"
        )
        print(lines[-1], flush=True)
        bad = version.lasting > 0
        kept.append(early >= 0.95 * options.seeds if bad else halted <= 0.02 * options.seeds)
    if options.write is not None:
        options.write.write_text("\n".join(lines) + "\n")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
