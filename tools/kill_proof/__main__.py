"""kill -9 at random moments of whole updates, with real processes; prints how each ended.

    python -m tools.kill_proof [--installer slots|rauc] [--kills N] [--jobs N] [--seed N]

The staging cloud runs once. Each update begins on a fresh copy of one device's state, is ordered over
the open API, and its agent is killed at random moments, some of them within the start after a kill,
and started again as systemd would. With ``rauc`` there is RAUC's real service on a bus of the
device's own, the proof plays the machine around both, and some of the kills are power cuts.

An update is good when it ends in SUCCESS on the new version, or in FAILED on the old one after a kill
that excuses it (in the last start of a trial; rauc: a power cut in a trial), the cloud holds
exactly one final event that says so, and nothing half-made is left. Exit code 0 only if all are.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.bench import Bench
from tools.kill_proof.device import NEW, Device, SlotsDevice
from tools.kill_proof.images import Images, missing_programs
from tools.kill_proof.proof import Proof, Tally, release
from tools.kill_proof.rauc_device import RaucDevice
from tools.processes import command


def open_site(bench: Bench, installer: str, jobs: int) -> list[Device]:
    """Start the cloud, release the new version, make ``jobs`` devices."""
    bench.start_cloud(0, 0)
    if installer == "rauc":
        images = Images(bench.folder)
        release(bench, images.bundle, installer)
        return [RaucDevice(bench, number, images) for number in range(jobs)]
    package = bench.folder / f"{NEW}.tar.gz"
    command("story-release", "build", "--version", NEW, "--output", package)
    release(bench, package, installer)
    return [SlotsDevice(bench, number) for number in range(jobs)]


def prove(proof: Proof, devices: list[Device], kills: int, seed: int) -> Tally:
    """Update until ``kills`` kills were made; the first update is left alone, to learn its length."""
    tally, lock = Tally(), threading.Lock()
    first = proof.measure(devices[0])
    tally.faults += first.faults
    print(f"an update without a kill: {first.end}, {proof.took:.1f} s", flush=True)

    def work(number: int) -> None:
        chance = random.Random(seed * 1000 + number)  # noqa: S311  # moments, not secrets
        while tally.kills.total() < kills:
            result = proof.update(devices[number], chance)
            with lock:
                tally.add(result)
                for fault in result.faults:
                    print(f"fault: {fault}")
                print(tally, flush=True)

    if not first.faults:
        with ThreadPoolExecutor(len(devices)) as pool:
            list(pool.map(work, range(len(devices))))
    return tally


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.kill_proof", description=__doc__)
    parser.add_argument("--installer", choices=("slots", "rauc"), default="slots")
    parser.add_argument("--kills", type=int, default=300, help="at least so many (default: 300)")
    parser.add_argument("--jobs", type=int, default=2, help="updates at a time (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    options = parser.parse_args()
    if options.installer == "rauc" and (missing := missing_programs()):
        parser.error(f"--installer rauc needs {missing}")
    with tempfile.TemporaryDirectory(prefix="story-kills-") as folder:
        bench, devices = Bench(Path(folder)), []
        try:
            devices = open_site(bench, options.installer, options.jobs)
            tally = prove(Proof(bench), devices, options.kills, options.seed)
        finally:
            for device in devices:
                device.close()
            bench.stop()
    print(tally.report())
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
