"""Kills the cloud in every step of a phase's opening, and counts what became of the devices.

    python -m tools.rollout_kill [--store sqlite|postgresql] [--devices 40] [--write FILE]

Real parts: the cloud's process with its store, TLS and frames; the machines are simulated and take no package. The cloud
looks at rollouts each second, not each fifteen. At each of `POINTS` it kills itself (SIGKILL), once, and is started again.
Exit code 0 only if each phase opened once, and each device was ordered once and has ended well.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from staging.data_dir import DataDir, Endpoints, read_endpoints
from staging.store import Database, devices, product_setup, products, releases, rollout_acts
from staging.store import rollouts as plans
from staging.store.models import OtaTask
from staging.store.order_rules import Status
from staging.store.releases import StrategyType, Target
from staging.times import now_ms
from tools.amounts import whole
from tools.machines import Machine, running
from tools.postgresql import postgresql
from tools.processes import BenchError, Service
from wire.reports import Credentials

PHASES = ("5%", "30%", "100%")
QUICK = {"soak": 0, "hours": 0, "sound": 0, "link": 0, "sample": 1, "open": 1000, "perMinute": 1000}
POINTS = (
    "before the look is written", "in its transaction", "after its commit",
    "before the first order's commit", "after the first order's commit", "after the tenth order's commit",
    "while orders' ends arrive",
)  # fmt: skip
DEADLINE = 240.0
LOOK = 0.5
# Devices that have ended before the kill of the last point.
ENDED = 6
# Of a rollout that was never disturbed: its plan, its start, and each phase.
STEPS = len(PHASES) + 2


class Killed:
    """Replaces functions of the cloud so that it kills itself at a point, if it was not killed there before."""

    def __init__(self, point: str, mark: Path) -> None:
        """``mark``: the file that says that it was done."""
        self._point, self._mark, self._count = point, mark, 0

    def here(self, point: str) -> None:
        """Be killed if this is the point."""
        if point == self._point and not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def patch(self) -> None:
        """Put the points into this process."""
        from staging.gateway import gateway, silent  # noqa: PLC0415  # the killed process alone
        from staging.store import silent_orders  # noqa: PLC0415

        act, order = rollout_acts.act, silent_orders.order
        write = Database.write

        def acted(session: Any, found: Any, now: int) -> Any:
            opens = found.next.opens
            if opens:
                self.here(POINTS[0])
            done = act(session, found, now)
            session.flush()
            if opens:
                self.here(POINTS[1])
            return done

        def ordered(session: Any, uuid: str, now: int) -> Any:
            task = order(session, uuid, now)
            if task is not None and task.id > 2:  # of the second phase, and later
                self.here(POINTS[3])
            return task

        async def written(database: Database, work: Callable[..., Any], *args: Any, **kw: Any) -> Any:  # fmt: skip
            result = await write(database, work, *args, **kw)
            if work is acted and result is not None and result.opens:
                self.here(POINTS[2])
            if work is ordered and result is not None and result.id > 2:
                self._count += 1
                self.here({1: POINTS[4], 10: POINTS[5]}.get(self._count, ""))
            return result

        # The cloud's modules share these: what is replaced here is replaced for its gateway.
        setattr(rollout_acts, "act", acted)  # noqa: B010  # the name of a module is not to be assigned
        setattr(silent_orders, "order", ordered)  # noqa: B010
        setattr(Database, "write", written)  # noqa: B010
        quick = silent.Pace(scan=LOOK, delay_low=0.1, delay_high=0.5, interval=0.05, look=LOOK)
        defaults = gateway.Gateway.__init__.__kwdefaults__
        if defaults is None:
            raise BenchError("the gateway has no pace to be set")
        defaults["pace"] = quick


class Proof:
    """One rollout."""

    def __init__(self, folder: Path, store: str, point: str, count: int) -> None:
        """Keep all files below ``folder``."""
        self._folder, self._store, self._point = folder, store, point
        self._data = DataDir(folder / "cloud")
        self._where = store or str(self._data.database)
        self._mark = folder / "killed"
        self._service: Service | None = None
        self._starts = 0
        self.machines: list[Machine] = []
        self._count, self._strategy = count, 0

    def start(self) -> None:
        """Start the cloud."""
        self._starts += 1
        ports = ["--api-port", "0", "--device-port", str(self._port())]
        store = ["--database", self._store] if self._store else []
        words = ["-P", "-m", "tools.rollout_kill", "--serve", self._point, str(self._mark), "--"]
        self._service = Service(
            sys.executable,
            [*words, "serve", "--data", str(self._data.root), *store, *ports],
            self._folder / f"cloud{self._starts}.log",
        )
        self._service.wait_for_line("ready api=")

    def _port(self) -> int:
        last = read_endpoints(self._data)
        return last.device_port if last else 0

    def where(self) -> Endpoints:
        """Return where the cloud listens."""
        found = read_endpoints(self._data)
        if found is None:
            raise BenchError("the cloud wrote no addresses")
        return found

    def prepare(self) -> None:
        """Make the devices, the version and its rollout."""
        database = self._database()
        made = database.call(self._make)
        database.close()
        self.machines = [Machine(Credentials(each.uuid, each.token)) for each in made]

    def _database(self) -> Database:
        return Database(self._store or self._data.database)

    def _make(self, session: Any) -> list[Any]:
        now = now_ms()
        product = products.default_product(session, now)
        _, made = product_setup.add_batch(session, product.id, "fleet", self._count, now)
        devices.note_heard(session, {each.id: now for each in made})
        releases.add_package(session, "2.0.0", Target("p.tar", 1, "0" * 32, "0" * 64), "", now)
        plan = releases.add_strategy(session, "2.0.0", StrategyType.SILENT, [], ["fleet"], now)
        plans.set_plan(session, plan.id, PHASES, QUICK)
        self._strategy = plan.id
        return list(made)

    async def run(self) -> list[str]:
        """Roll out while the cloud is killed at the point; return what is wrong."""
        context = await asyncio.to_thread(
            ssl.create_default_context, cafile=str(self._data.ca / "ca.crt")
        )
        async with running(self.machines, self.where, context):
            await self._until(lambda: all(each.online for each in self.machines))
            await asyncio.to_thread(self._begin)
            await self._until(
                lambda: all(each.ended and not each.waiting for each in self.machines)
            )
        return await asyncio.to_thread(self._wrong)

    def _begin(self) -> None:
        database = self._database()
        database.call(rollout_acts.start, self._strategy, now_ms())
        database.close()

    async def _until(self, look: Callable[[], bool]) -> None:
        """Wait, and start the cloud again when it was killed; the last point is ours to kill at."""
        deadline = time.monotonic() + DEADLINE
        while not look():
            if time.monotonic() > deadline:
                return
            if self._point == POINTS[6]:
                await self._kill_once()
            if self._service is not None and self._service.process.poll() is not None:
                await asyncio.to_thread(self.start)
            await asyncio.sleep(0.02)

    async def _kill_once(self) -> None:
        """Kill the cloud when some devices of the second phase have ended."""
        ended = sum(bool(each.ended) for each in self.machines)
        if ended > ENDED and self._service is not None and not self._mark.exists():
            self._mark.touch()
            await asyncio.to_thread(self._service.kill)

    def _wrong(self) -> list[str]:
        database = self._database()
        tasks, each, state, cuts, step = database.call(self._counts)
        database.close()
        twice = sum(len(set(machine.seen)) > 1 for machine in self.machines)
        unended = sum(not machine.ended for machine in self.machines)
        checks = {
            "the cloud was not killed": not self._mark.exists(),
            f"{self._starts} starts": self._starts != 2,
            f"{tasks} orders for {self._count} devices": tasks != self._count,
            f"{each} devices with one order that ended well": each != self._count,
            f"{twice} devices were ordered twice": twice > 0,
            f"{unended} devices were forgotten": unended > 0,
            f"{cuts} phases opened": cuts != len(PHASES),
            f"{step} steps": step != STEPS,
            state: state != "PUBLISHED",
        }
        return [text for text, bad in checks.items() if bad]

    def _counts(self, session: Any) -> tuple[int, int, str, int, int]:
        good = select(func.count(func.distinct(OtaTask.device_id))).where(
            OtaTask.status == Status.SUCCESS.value
        )
        row = plans.row_of(session, self._strategy)
        assert row is not None  # noqa: S101  # made by `prepare`
        state = plans.strategy_of(session, self._strategy).status
        total = session.scalar(select(func.count()).select_from(OtaTask)) or 0
        return total, session.scalar(good) or 0, state, len(row.cuts or []), row.step

    def stop(self) -> None:
        """End the cloud."""
        if self._service is not None:
            self._service.stop()


def prove(store: str, point: str, count: int) -> list[str]:
    """Run one rollout with a kill at a point; return what is wrong."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        proof = Proof(Path(folder), store, point, count)
        try:
            proof.start()
            proof.prepare()
            return asyncio.run(proof.run())
        finally:
            proof.stop()


def serve(point: str, mark: str, words: list[str]) -> int:
    """Be the cloud that kills itself."""
    from staging.commands import cli  # noqa: PLC0415  # the killed process alone

    Killed(point, Path(mark)).patch()
    return cli.main(words)


def main() -> int:
    """Run all points on a store."""
    if sys.argv[1:2] == ["--serve"]:
        return serve(sys.argv[2], sys.argv[3], sys.argv[5:])
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--devices", type=whole(1), default=40)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    lines = []
    for point in POINTS:
        if options.only not in point:
            continue
        if options.store == "sqlite":
            wrong = prove("", point, options.devices)
        else:
            with postgresql() as server:
                wrong = prove(server.url(), point, options.devices)
        lines.append(f"{options.store}: killed {point}: {'; '.join(wrong) or 'held'}")
        print(lines[-1], flush=True)
    if options.write is not None:
        options.write.write_text("\n".join(lines) + "\n")
    return 0 if all(line.endswith(": held") for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
