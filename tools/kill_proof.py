"""kill -9 at random moments of whole updates, with real processes; prints how each ended.

    python -m tools.kill_proof [--kills N] [--jobs N] [--seed N]

The staging cloud runs once. Each update begins on a fresh copy of one device's state, is ordered over
the open API, and its agent is killed at random moments, some of them within the start after a kill,
and started again as systemd would. An update is good when it ends in SUCCESS on the new version or in
FAILED on the old one, the cloud holds exactly one final event that says so, and nothing half-made is
left on the disk. Exit code 0 only if all are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from agent.client import SOCKET_NAME, AgentUnreachableError, LocalClient
from staging.client import OpenApiClient, OpenApiError
from tools.bench import Bench
from tools.processes import BenchError, Service, command

OLD, NEW = "1.0.0", "1.1.0"
START_SECONDS, UPDATE_SECONDS = 60.0, 240.0
# wire.ota: begin, downloading, downloaded and installing do not end an update.
UNDER_WAY = {0, 4, 5, 7}
# The package comes in about a second, so that kills fall into the download too.
CONFIG = "[ota]\nmax_bytes_per_second = 393216\n[link]\nretry_max_seconds = 2\n"

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """What the updates came to."""

    kills: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, end: str, kills: int, faults: list[str]) -> None:
        """Count one update."""
        self.kills += kills
        self.ends[end] = self.ends.get(end, 0) + 1
        self.faults += faults


class Device:
    """One device of the cloud and the state that each of its updates begins with."""

    def __init__(self, bench: Bench, number: int) -> None:
        """Make it in the cloud and flash it below ``bench``'s folder."""
        self.folder = bench.folder / f"device-{number}"
        self.folder.mkdir()
        self._bench = bench
        made = bench.story_cloud("device", "add")
        self.uuid, self.bind_token = made["uuid"], made["bindToken"]
        profile = bench.story_cloud("device", "profile", self.uuid)
        (self.folder / "profile.json").write_text(json.dumps(profile))
        (self.folder / "agent.toml").write_text(CONFIG)
        fresh = self.folder / "fresh"
        fresh.mkdir(mode=0o750)
        root = bench.cloud_data / "tuf" / "metadata" / "1.root.json"
        shutil.copyfile(root, fresh / "root.json")

    @property
    def state(self) -> Path:
        """The agent's STATE folder of the update under way."""
        return self.folder / "state"

    def start(self) -> Service:
        """Start the agent."""
        words: list[str | Path] = ["run", "--profile", self.folder / "profile.json"]
        words += ["--config", self.folder / "agent.toml", "--state", self.state]
        return Service("story-agent", words, self.folder / "agent.log")

    def status(self) -> dict[str, Any]:
        """Return what the agent says of itself; {} while it does not answer."""
        try:
            answer = LocalClient(self.state / SOCKET_NAME).request("GET", "/status")
        except AgentUnreachableError:
            return {}
        return dict(json.loads(answer.body))

    def begin(self, database: Path) -> None:
        """Put the state back to what it was at first, in the cloud too."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.folder / "fresh", self.state)
        with sqlite3.connect(database, timeout=30) as cloud:
            cloud.execute(
                "UPDATE devices SET os_version_id = (SELECT id FROM os_versions WHERE version = ?)"
                " WHERE uuid = ? AND os_version_id IN (SELECT id FROM os_versions WHERE version = ?)",
                (OLD, self.uuid, NEW),
            )


class Proof:
    """The cloud, its release, and the updates."""

    def __init__(self, folder: Path, jobs: int) -> None:
        """Start the cloud below ``folder`` and make ``jobs`` devices."""
        self.bench = Bench(folder)
        self.bench.start_cloud(0, 0)
        self._client = self.bench.client()
        self._lock = threading.Lock()
        self._release(folder / f"{NEW}.tar.gz")
        self.devices = [Device(self.bench, number) for number in range(jobs)]
        self.took = 0.0

    @property
    def database(self) -> Path:
        """The cloud's database."""
        return self.bench.cloud_data / "cloud.sqlite"

    def _release(self, package: Path) -> None:
        command("story-release", "build", "--version", NEW, "--output", package)
        self.bench.story_cloud("release", "add", package, "--version", NEW)
        words = ("strategy", "add", "--version", NEW, "--type", "passive", "--from", OLD)
        strategy = self.bench.story_cloud(*words)
        self.bench.story_cloud("strategy", "publish", str(strategy["strategyId"]))

    def ask(self, call: Callable[[OpenApiClient], T]) -> T | None:
        """Ask the open API; None while it cannot answer so."""
        with self._lock, contextlib.suppress(OpenApiError, httpx.HTTPError):
            return call(self._client)
        return None

    def update(self, device: Device, chance: random.Random | None) -> tuple[str, int, list[str]]:
        """Carry out one update, killed at ``chance``'s moments (None: never); return end, kills, faults."""
        device.begin(self.database)
        agent = device.start()
        try:
            _wait("registration", lambda: self._is_online(device), START_SECONDS)
            began = time.monotonic()
            transaction = self._order(device)
            kills = 0
            for pause in self._moments(chance):
                time.sleep(pause)
                agent.process.send_signal(signal.SIGKILL)
                agent.process.wait()
                agent, kills = device.start(), kills + 1
            task = _wait("end of the update", lambda: self._end(device), UPDATE_SECONDS)
            if chance is None:
                self.took = time.monotonic() - began
            return task["status"], kills, self._judge(device, task, transaction)
        finally:
            agent.stop()

    def _moments(self, chance: random.Random | None) -> list[float]:
        """Choose the seconds before each kill: spread over the update, or soon after the last one."""
        if chance is None:
            return []
        first = chance.uniform(0.0, self.took * 1.05)
        return [first, *(chance.uniform(0.0, self.took * 0.5) for _ in range(chance.randint(0, 3)))]

    def _is_online(self, device: Device) -> bool:
        if device.status().get("link", {}).get("state") != "online":
            return False
        info = self.ask(lambda client: client.info(device.uuid))
        if info is None:
            self.ask(lambda client: client.bind(device.uuid, device.bind_token))
        return info is not None and info["osVersion"] == OLD

    def _order(self, device: Device) -> int:
        offer = _wait(
            "offer", lambda: self.ask(lambda c: c.new_version(device.uuid)), START_SECONDS
        )
        words = (device.uuid, offer["packageId"], offer["strategyId"])
        _wait("order", lambda: self.ask(lambda client: client.update(*words)), START_SECONDS)
        task = _wait(
            "task", lambda: self.ask(lambda c: c.update_status(device.uuid)), START_SECONDS
        )
        return int(task["id"])

    def _end(self, device: Device) -> dict[str, Any] | None:
        task = self.ask(lambda client: client.update_status(device.uuid))
        if task is None or task["status"] not in {"SUCCESS", "FAILED"}:
            return None
        status = device.status()
        settled = (
            status.get("link", {}).get("state") == "online" and not status["outbox"]["waiting"]
        )
        return task if settled else None

    def _judge(self, device: Device, task: dict[str, Any], transaction: int) -> list[str]:
        """Say what is wrong with how it ended."""
        status = device.status()
        succeeded = task["status"] == "SUCCESS"
        boot_file = device.state / "slots" / "boot.json"
        boot = json.loads(boot_file.read_text()) if boot_file.exists() else {}
        finals = self._finals(transaction)
        releases = device.state / "slots" / "releases"
        folders = [entry for entry in releases.glob("*") if not (entry / "release.json").is_file()]
        left = [*folders, *(device.state / "ota" / "download").glob("*")]
        found = {
            f"{task['status']}, and {status['version']} runs": (status["version"] == NEW)
            != succeeded,
            f"the agent says {status['update']['state']}": status["update"]["state"]
            != task["status"],
            f"final events {finals}": len(finals) != 1 or (finals[0] == 10) != succeeded,
            f"still on trial: {boot.get('trial')}": boot.get("trial") is not None,
            f"active is {boot.get('active')}": boot.get("active") != (NEW if succeeded else None),
            f"left behind: {left}": bool(left),
        }
        return [f"update {transaction}: {text}" for text, wrong in found.items() if wrong]

    def _finals(self, transaction: int) -> list[int]:
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30) as cloud:
            rows = cloud.execute(
                "SELECT event FROM ota_events WHERE task_id = ? AND event IS NOT NULL",
                (transaction,),
            ).fetchall()
        return [event for (event,) in rows if event not in UNDER_WAY]


def _wait(what: str, look: Callable[[], T | None], timeout: float) -> T:
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise BenchError(f"no {what} within {timeout:g} s")
        time.sleep(0.1)
    return found


def prove(proof: Proof, kills: int, seed: int) -> Tally:
    """Update until ``kills`` kills were made; the first update is left alone, to learn its length."""
    tally, lock = Tally(), threading.Lock()
    end, _kills, faults = proof.update(proof.devices[0], None)
    tally.add(f"{end} without a kill", 0, faults)
    print(f"an update without a kill: {end}, {proof.took:.1f} s", flush=True)

    def work(number: int) -> None:
        chance = random.Random(seed * 1000 + number)  # noqa: S311  # moments, not secrets
        while tally.kills < kills:
            try:
                result = proof.update(proof.devices[number], chance)
            except BenchError as error:
                result = ("no end", 0, [str(error)])
            with lock:
                tally.add(*result)
            print(f"{tally.kills} kills, ends {tally.ends}, {len(tally.faults)} faults", flush=True)

    with ThreadPoolExecutor(len(proof.devices)) as pool:
        list(pool.map(work, range(len(proof.devices))))
    return tally


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.kill_proof", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="at least so many (default: 300)")
    parser.add_argument("--jobs", type=int, default=2, help="updates at a time (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="story-kills-") as folder:
        proof = Proof(Path(folder), options.jobs)
        try:
            tally = prove(proof, options.kills, options.seed)
        finally:
            proof.bench.stop()
    for fault in tally.faults:
        print(f"fault: {fault}")
    print(f"{tally.kills} kills; ends: {tally.ends}; {len(tally.faults)} faults")
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
