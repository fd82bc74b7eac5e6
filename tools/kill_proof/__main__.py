"""Kills real processes at random moments of complete updates, and checks how each update ends.

    python -m tools.kill_proof [--installer slots|rauc] [--before] [--kills N | --updates N] [--minutes N] [--jobs N] [--seed N] [--night]

The staging cloud runs throughout. Each update begins with a fresh copy of one device's state and is
ordered through the open API. Its agent is killed with kill -9 at random moments, some of them
during the start after a kill, and restarted as by systemd. As root, STATE is a small disk, which is
filled to the last byte now and then. After some successes a file of the new release is damaged: the old
version must run, fetch it again, and leave the new one running. With ``rauc``, RAUC's real service runs
on a bus of the device's own, the proof simulates the machine around both, and some of the kills are
power cuts.

An update passes if it ends in SUCCESS on the new version, or in FAILED on the old one after a kill
that permits it (in the last start of a trial; a full disk; rauc: a power cut in a trial). With ``--before``, the machine's base is the version
that was released before this tree, and its updater carries the update out. The cloud must also
have exactly one final event, which agrees, and no partial files may be left. An interrupt, or the end of
``--minutes``, ends it after the updates that run; ``--night`` adds what was run to docs/mutation.md. Exit code 0 only if
all updates pass.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools import black_box
from tools.amounts import amount, whole
from tools.bench import Bench
from tools.ending import run_main
from tools.kill_proof.device import NEW, Device, SlotsDevice, enter_namespace
from tools.kill_proof.images import Images, missing_programs
from tools.kill_proof.proof import Proof, Tally, release
from tools.kill_proof.rauc_device import RaucDevice
from tools.processes import command, ended_by_signals
from wire.ota import InstallerKind

# Without another limit.
KILLS = 300


def open_site(bench: Bench, installer: str, jobs: int, *, before: bool) -> list[Device]:
    """Start the cloud, release the new version, and make ``jobs`` devices."""
    bench.start_cloud(0, 0)
    if installer == "rauc":
        images = Images(bench.folder)
        release(bench, images.bundle, installer)
        return [RaucDevice(bench, number, images) for number in range(jobs)]
    package = bench.folder / f"{NEW}.tar.gz"
    command("story-release", "build", "--version", NEW, "--output", package)
    release(bench, package, installer)
    if before:
        from tools.kill_proof.before import BeforeDevice  # noqa: PLC0415  # it needs the tests' fixtures

        return [BeforeDevice(bench, number) for number in range(jobs)]
    return [SlotsDevice(bench, number) for number in range(jobs)]


@dataclass(slots=True)
class Limits:
    """When no further update begins: after so many kills or updates, at a time of the monotonic clock, or when told."""

    kills: float = math.inf
    updates: float = math.inf
    at: float = math.inf
    stops: bool = False

    def stop(self) -> None:
        """Begin no update any more."""
        self.stops = True

    def are_reached(self, tally: Tally) -> bool:
        """Return whether ``tally``, the time or somebody says that it is enough."""
        if self.stops or time.monotonic() >= self.at:
            return True
        return tally.kills.total() >= self.kills or tally.ends.total() >= self.updates


def prove(proof: Proof, devices: Sequence[Device], limits: Limits, seed: int) -> Tally:
    """Run updates until a limit is reached; the first has no kill, to measure its length, and is not counted."""
    tally, lock = Tally(), threading.Lock()
    first = proof.measure(devices[0])
    tally.faults += first.faults
    print(f"an update without a kill: {first.end}, {proof.took:.1f} s", flush=True)

    def work(number: int) -> None:
        chance = random.Random(seed * 1000 + number)  # noqa: S311  # for timing, not secrets
        while not limits.are_reached(tally):
            result = proof.update(devices[number], chance)
            with lock:
                tally.add(result)
                for fault in result.faults:
                    print(f"fault: {fault}")
                print(tally, flush=True)

    if not first.faults:
        with ended_by_signals(limits.stop), ThreadPoolExecutor(len(devices)) as pool:
            list(pool.map(work, range(len(devices))))
    return tally


def _limits(options: argparse.Namespace) -> Limits:
    kills = options.kills
    if kills is None:
        kills = KILLS if math.isinf(options.updates) else math.inf
    return Limits(kills, options.updates, time.monotonic() + options.minutes * 60)


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.kill_proof", description=__doc__)
    parser.add_argument(
        "--installer",
        choices=[kind.value for kind in InstallerKind],
        default=InstallerKind.SLOTS.value,
    )
    parser.add_argument("--before", action="store_true", help="update from the version before")
    parser.add_argument("--kills", type=whole(1), help="at least so many (default: 300)")
    parser.add_argument("--updates", type=whole(1), default=math.inf, help="or so many updates")
    parser.add_argument(
        "--minutes", type=amount(), default=math.inf, help="begin none after so many"
    )
    parser.add_argument("--night", action="store_true", help="add what was run to docs/mutation.md")
    parser.add_argument("--jobs", type=whole(1), default=2, help="updates at a time (default: 2)")
    parser.add_argument("--seed", type=whole(0), default=1, help="of the moments (default: 1)")
    options = parser.parse_args()
    enter_namespace()
    began = time.monotonic()
    if options.before and options.installer == "rauc":
        parser.error("--before: the version before is there for --installer slots alone")
    if options.installer == "rauc" and (missing := missing_programs()):
        parser.error(f"--installer rauc needs {missing}")
    with tempfile.TemporaryDirectory(prefix="story-kills-") as folder:
        bench, devices = Bench(Path(folder)), []
        try:
            devices = open_site(bench, options.installer, options.jobs, before=options.before)
            tally = prove(Proof(bench), devices, _limits(options), options.seed)
        finally:
            for device in devices:
                device.close()
            bench.stop()
    print(tally.report())
    if options.night:
        seconds = time.monotonic() - began
        what = f"{black_box.UPDATES}, {'from the version before' if options.before else options.installer}"
        black_box.add(what, tally.ends.total(), 0, tally.kills.total(), len(tally.faults), seconds)
    return int(bool(tally.faults))


if __name__ == "__main__":
    run_main(main)
