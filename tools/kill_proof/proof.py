"""Runs the proof's updates: orders them from a real cloud, kills them, and checks how they end."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from staging.client import OpenApiClient, OpenApiError
from tools.bench import Bench
from tools.kill_proof.device import NEW, OLD, TICK, Device
from tools.processes import BenchError

START_SECONDS, UPDATE_SECONDS = 60.0, 240.0
# Time after the final report for a restart into the old version, its registration and the cleanup.
SETTLE_SECONDS = 90.0
# Time for a damaged release to be left, fetched again and confirmed.
REPAIR_SECONDS = 120.0
# Shares of the disturbances that fill the disk, and of the successes whose release is damaged.
FULL_DISKS, DAMAGES = 0.15, 0.35
# wire.ota: begin, downloading, downloaded and installing do not end an update.
UNDER_WAY = {0, 4, 5, 7}
# Steps that are too short for a random moment to hit them often.
SHORT_STEPS = ("install", "switch", "trial")

T = TypeVar("T")


@dataclass(slots=True)
class Result:
    """One update: how it ended, why it FAILED, its kills (what, at which step), and its faults."""

    end: str
    reason: str = ""
    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """The totals of all updates."""

    kills: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Add one update."""
        self.kills += result.kills
        self.ends[result.end] += 1
        if result.end == "FAILED":
            self.reasons[result.reason] += 1
        self.faults += result.faults

    def __str__(self) -> str:
        return f"{self.kills.total()} kills, ends {dict(self.ends)}, {len(self.faults)} faults"

    def report(self) -> str:
        """Return the totals as text; the last line is the summary."""
        kills = [f"kill: {count:4} {what}" for what, count in sorted(self.kills.items())]
        reasons = [f"FAILED: {count:4} {why}" for why, count in self.reasons.most_common()]
        return "\n".join([*kills, *reasons, *(f"fault: {text}" for text in self.faults), str(self)])


class Proof:
    """Runs updates of a cloud's devices."""

    def __init__(self, bench: Bench) -> None:
        """Use the cloud of ``bench``, which must be running and have the release."""
        self._bench = bench
        self._client = bench.client()
        self._lock = threading.Lock()
        self.took = 0.0

    def ask(self, call: Callable[[OpenApiClient], T]) -> T | None:
        """Call the open API; returns None on an error, to be retried."""
        with self._lock, contextlib.suppress(OpenApiError, httpx.HTTPError):
            return call(self._client)
        return None

    def measure(self, device: Device) -> Result:
        """Run one update without kills, to measure how long it takes."""
        return self._update(device, random.Random(0), killed=False)  # noqa: S311

    def update(self, device: Device, chance: random.Random) -> Result:
        """Run one update with kills at random moments, chosen by ``chance``."""
        return self._update(device, chance, killed=True)

    def _update(self, device: Device, chance: random.Random, *, killed: bool) -> Result:
        result = Result("no end")
        try:
            device.begin(self._bench.cloud_data / "cloud.sqlite", chance)
            _wait(device, "registration", lambda: self._is_online(device), START_SECONDS)
            began = time.monotonic()
            transaction = self._order(device)
            if killed:
                self._kill(device, result)
            task = _wait(
                device, "end of the update", lambda: self._final_task(device), UPDATE_SECONDS
            )
            if not killed:
                self.took = time.monotonic() - began
            result.end, result.reason = task["status"], str(task.get("failure"))
            result.faults = self._settled_faults(device, task, transaction, SETTLE_SECONDS)
            if killed and result.end == "SUCCESS" and not result.faults:
                self._damage(device, result, task, transaction)
        except BenchError as error:
            result.faults = [str(error)]
        finally:
            device.stop()
        return result

    def _kill(self, device: Device, result: Result) -> None:
        """Kill several times; stops after one kill at the step "done"."""
        for _kill in range(device.chance.randint(*device.kills)):
            self._wait_for_moment(device, first=not result.kills)
            step = device.step() or "order"
            fills = device.small_disk and device.chance.random() < FULL_DISKS
            result.kills[f"{device.fill_disk() if fills else device.kill()} at {step}"] += 1
            if step == "done":
                return

    def _damage(
        self, device: Device, result: Result, task: dict[str, Any], transaction: int
    ) -> None:
        """Damage the confirmed release of some updates: it must be left, and be there again."""
        if device.chance.random() >= DAMAGES or (what := device.damage()) is None:
            return
        result.kills["damaged release at done"] += 1
        faults = self._settled_faults(device, task, transaction, REPAIR_SECONDS)
        result.faults = [f"after damage of {what}: {fault}" for fault in faults]

    def _wait_for_moment(self, device: Device, *, first: bool) -> None:
        """Let the update run for a random time, or into one of its short steps."""
        chance = device.chance
        if chance.random() < 0.5:
            device.live(chance.uniform(0.0, self.took * (1.05 if first else 0.5)))
            return
        step = chance.choice(SHORT_STEPS)
        end = time.monotonic() + self.took * 2
        while device.step() not in {step, "done"} and time.monotonic() < end:
            device.live(TICK)
        device.live(chance.uniform(0.0, 1.0))

    def _is_online(self, device: Device) -> bool:
        if device.status().get("link", {}).get("state") != "online":
            return False
        info = self.ask(lambda client: client.info(device.uuid))
        if info is None:
            self.ask(lambda client: client.bind(device.uuid, device.bind_token))
        return info is not None and info["osVersion"] == OLD

    def _order(self, device: Device) -> int:
        def ask(what: str, call: Callable[[OpenApiClient], T | None]) -> T:
            return _wait(device, what, lambda: self.ask(call), START_SECONDS)

        offer = ask("offer", lambda client: client.new_version(device.uuid))
        words = (device.uuid, offer["packageId"], offer["strategyId"])
        ask("order", lambda client: client.update(*words))
        task = ask("task", lambda client: client.update_status(device.uuid))
        return int(task["id"])

    def _final_task(self, device: Device) -> dict[str, Any] | None:
        task = self.ask(lambda client: client.update_status(device.uuid))
        return task if task is not None and task["status"] in {"SUCCESS", "FAILED"} else None

    def _settled_faults(
        self, device: Device, task: dict[str, Any], transaction: int, seconds: float
    ) -> list[str]:
        """Return the faults of the end of the update, once the machine has settled."""
        end = time.monotonic() + seconds
        while True:
            device.live(0.3)
            found = self._faults(device, task, transaction)
            if not found or time.monotonic() > end:
                return [f"update {transaction}: {text}" for text in found]

    def _faults(self, device: Device, task: dict[str, Any], transaction: int) -> list[str]:
        status = device.status()
        if not status:
            return ["the agent does not answer"]
        succeeded = task["status"] == "SUCCESS"
        expected = NEW if succeeded else OLD
        finals = self._finals(transaction)
        info = self.ask(lambda client: client.info(device.uuid)) or {}
        update = status["update"]
        found = {
            f"{task['status']}, and {status['version']} runs": status["version"] != expected,
            f"the cloud believes in {info.get('osVersion')}": info.get("osVersion") != expected
            and device.tells_its_version,
            f"the agent says {update['state']}": update["state"] != task["status"],
            f"final events {finals}": len(finals) != 1 or (finals[0] == 10) != succeeded,
            f"link {status['link']['state']}": status["link"]["state"] != "online",
            f"reports wait: {status['outbox']['waiting']}": status["outbox"]["waiting"] != 0,
            f"FAILED without a cause: {update['failure']}": not succeeded and not device.excused,
            "; ".join(device.endings): bool(device.endings),
        } | device.faults(succeeded=succeeded)
        return [text for text, wrong in found.items() if wrong]

    def _finals(self, transaction: int) -> list[int]:
        path = self._bench.cloud_data / "cloud.sqlite"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as cloud:
            rows = cloud.execute(
                "SELECT event FROM ota_events WHERE task_id = ? AND event IS NOT NULL",
                (transaction,),
            ).fetchall()
        return [event for (event,) in rows if event not in UNDER_WAY]


def release(bench: Bench, package: Path, installer: str) -> None:
    """Add the new version's package to the cloud, and offer it to machines with the old one."""
    words = ("release", "add", package, "--version", NEW, "--installer", installer)
    bench.story_cloud(*words)
    strategy = bench.story_cloud(
        "strategy", "add", "--version", NEW, "--type", "passive", "--from", OLD
    )
    bench.story_cloud("strategy", "publish", str(strategy["strategyId"]))


def _wait(device: Device, what: str, look: Callable[[], T | None], timeout: float) -> T:
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise BenchError(f"no {what} within {timeout:g} s; {device.describe()}")
        device.live(0.1)
    return found
