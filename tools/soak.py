"""Runs the product for long and watches memory and descriptors of agent and cloud.

    python -m tools.soak [--minutes N] [--seed N] [--write FILE]

A real cloud and a real agent, a real sound server, and a proxy between the two that cuts each connection
after a random number of bytes. An app plays, stops, sets and reads; the device says a sentence now and then;
in the first third the device is updated twice. What an app is refused while the link is down is counted, and
anything else that goes wrong ends the run. Exit code 0 only if neither process has grown in its last half.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory import memory
from staging.client import OpenApiClient, OpenApiError
from tools.amounts import amount, whole
from tools.bench import Bench
from tools.processes import BenchError, command
from tools.pulse import PulseServer
from tools.report_proof.proxy import CuttingProxy
from tools.tour import HERE, write_tone

MINUTES = 30.0
SAMPLE_SECONDS = 5.0
# Between two things that are done: some hundred thousand in a day.
PAUSE_SECONDS = 0.2
# Bytes until a cut: between half a minute and some minutes of what is done here.
CUT_BYTES = (20_000, 200_000)
UPDATE_SECONDS = 180.0
# A process may end its last half with so much more than it began it: an allocator is not that even.
GROWTH_MB, GROWTH_FILES = 2.0, 4
# Answers while the link is down, or just cut.
PASSING = {502, 503, 504}
TITLES = ("tone one", "tone two")


class SoakError(Exception):
    """Something went wrong that is no matter of the link."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process and its children use."""

    seconds: float
    rss: float
    files: int


class Soak:
    """One run."""

    def __init__(self, stack: ExitStack, folder: Path, seed: int) -> None:
        """Start everything; what runs is stopped by ``stack``."""
        self._chance = random.Random(seed)  # noqa: S311  # for moments, not secrets
        self.counts: collections.Counter[str] = collections.Counter()
        self.samples: dict[str, list[Sample]] = {"agent": [], "cloud": []}
        (folder / "pulse").mkdir()
        sound = PulseServer(folder / "pulse")
        stack.callback(sound.kill)
        sound.start()
        self.bench = Bench(folder)
        stack.callback(self.bench.stop)
        self.bench.start_cloud(0, 0)
        self.bench.flash_device()
        self.proxy = self._put_between()
        stack.callback(self.proxy.close)
        for title in TITLES:
            write_tone(self.bench.state / "media" / f"{title}.wav", seconds=30)
        self.bench.start_agent({"PULSE_SERVER": sound.address})
        self.client = stack.enter_context(self.bench.client())
        self.uuid = self.bench.device["uuid"]
        self.client.bind(self.uuid, self.bench.device["bindToken"])
        self.started = time.monotonic()

    def _put_between(self) -> CuttingProxy:
        host, port = self.bench.device_address.rsplit(":", 1)
        proxy = CuttingProxy(host, int(port), self._chance, CUT_BYTES)
        profile = json.loads(self.bench.profile_path.read_text())
        profile["coapPort"] = proxy.port
        self.bench.profile_path.write_text(json.dumps(profile))
        return proxy

    def run(self, seconds: float) -> None:
        """Do things until ``seconds`` have passed."""
        updates = {seconds * 0.1: "1.1.0", seconds * 0.25: "1.2.0"}
        sampled = 0.0
        while (now := time.monotonic() - self.started) < seconds:
            if now - sampled >= SAMPLE_SECONDS:
                sampled = now
                self._sample(now)
            due = next((at for at in updates if at <= now), None)
            if due is not None:
                self._update(updates.pop(due))
            self._do_something()
            time.sleep(PAUSE_SECONDS)

    def _do_something(self) -> None:
        kinds: list[tuple[str, Callable[[OpenApiClient], object]]] = [
            ("set volume", lambda app: app.send(self.uuid, "PUT", "volume", self._number())),
            ("read volume", lambda app: app.send(self.uuid, "GET", "volume")),
            ("play", lambda app: app.send(self.uuid, "PUT", "play", self._chance.choice(TITLES))),
            ("stop", lambda app: app.send(self.uuid, "PUT", "play", "停止")),
            ("history", lambda app: app.history(self.uuid, limit=50)),
            ("info", lambda app: app.info(self.uuid)),
            ("device list", lambda app: app.device_page()),
            ("say", lambda _app: self._say()),
        ]
        weights = (8, 8, 4, 2, 4, 4, 2, 1)
        name, do = self._chance.choices(kinds, weights)[0]
        try:
            do(self.client)
        except OpenApiError as error:
            if error.http_status not in PASSING:
                raise SoakError(f"{name}: {error}") from error
            name = f"{name}, refused while the link was down"
        self.counts[name] += 1

    def _number(self) -> str:
        return str(self._chance.randint(0, 16))

    def _say(self) -> None:
        try:
            command("story-agent", "say", HERE / "utterance.wav", "--state", self.bench.state)
        except BenchError as error:
            self.counts[f"say, refused: {str(error).split(':')[-1].strip()[:60]}"] += 1

    def _update(self, version: str) -> None:
        package = self.bench.folder / f"story-machine-{version}.tar.gz"
        command("story-release", "build", "--version", version, "--output", package)
        self.bench.story_cloud("release", "add", package, "--version", version)
        words = ("strategy", "add", "--version", version, "--type", "silent")
        strategy = self.bench.story_cloud(*words)
        self.bench.story_cloud("strategy", "publish", str(strategy["strategyId"]))
        deadline = time.monotonic() + UPDATE_SECONDS
        while self.client.info(self.uuid)["osVersion"] != version:
            if time.monotonic() > deadline:
                raise SoakError(f"update to {version}: not done in {UPDATE_SECONDS:g} s")
            time.sleep(1)
        self.counts["update"] += 1

    def _sample(self, now: float) -> None:
        for name, service in (("agent", self.bench.agent), ("cloud", self.bench.cloud)):
            if service is None or service.process.poll() is not None:
                raise SoakError(f"the {name} has ended: {service and service.tail()}")
            pid = service.process.pid
            files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            self.samples[name].append(Sample(now, memory(pid).rss, files))

    def judge(self) -> tuple[list[str], bool]:
        """Return the figures, line by line, and whether neither process has grown."""
        lines = [f"- {count} x {what}" for what, count in sorted(self.counts.items())]
        lines.append(f"- {self.proxy.cuts} connections cut")
        good = True
        lines += [
            "",
            "| process | RSS, MB: start of the last half → end | highest | open files |",
            "| --- | --- | --- | --- |",
        ]
        for name, samples in self.samples.items():
            last = samples[len(samples) // 2 :]
            part = max(1, len(last) // 4)
            rss = [statistics.median(s.rss for s in some) for some in (last[:part], last[-part:])]
            files = [
                statistics.median(s.files for s in some) for some in (last[:part], last[-part:])
            ]
            good &= rss[1] - rss[0] <= GROWTH_MB and files[1] - files[0] <= GROWTH_FILES
            highest = max(s.rss for s in samples)
            lines.append(
                f"| {name}, its children too | {rss[0]:.1f} → {rss[1]:.1f} | {highest:.1f} | {files[0]:.0f} → {files[1]:.0f} |"
            )
        return lines, good


def main() -> int:
    """Run the soak and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=amount(), default=MINUTES)
    parser.add_argument("--seed", type=whole(0), default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="story-soak-") as folder, ExitStack() as stack:
        try:
            soak = Soak(stack, Path(folder), options.seed)
            soak.run(options.minutes * 60)
        except (SoakError, BenchError, OpenApiError) as error:
            print(f"soak: {error} (--seed {options.seed})", file=sys.stderr)
            return 1
        lines, good = soak.judge()
    load = f"load {os.getloadavg()[0]:.1f} at the end, seed {options.seed}"
    text = "\n".join([f"{options.minutes:g} minutes, {load}:", "", *lines, ""])
    print(text)
    if options.write is not None:
        options.write.write_text(text)
    if not good:
        print("soak: a process has grown", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
