"""Proves that no report is lost, invented or stored twice, through cuts and kills (docs/adr/0034).

    python -m tools.report_proof [--link coap|mqtt] [--reports N] [--together N] [--seed N] [--write FILE]

A real staging cloud runs behind a proxy that cuts each connection after a random number of bytes. The
device is a process with the agent's outbox, delivery and link; it says each number on its standard
output once the outbox has it. Device and cloud are killed with kill -9 at random moments. In the end
the cuts stop, the outbox empties, and the cloud's history is compared with what was said.
With ``--together`` above one, so many reports are put at once, and a
connection lives for LONG_CUT_BYTES, since a batch of reports has up to 16 KiB. Exit code 0 only if nothing was lost or invented, and no report is stored twice.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tools.bench import Bench
from tools.processes import Service, die_with_parent
from tools.report_proof.proxy import CUT_BYTES, CuttingProxy

KEY = "proof"
# Seconds between kills, at random: long enough for some reports to arrive in between.
KILL_SECONDS = (0.5, 4.0)
START_SECONDS = 60.0
DRAIN_SECONDS, DRAIN_SECONDS_EACH = 300.0, 0.02
# Bytes until a cut where many reports are put at once: a hundred arrive in one connection, more or less.
LONG_CUT_BYTES = (500, 16_000)


@dataclass(slots=True)
class Tally:
    """What happened.

    Attributes:
        said: the numbers that the outbox had taken.
        may_be: numbers that a kill cut off: they may be in the outbox, or not.
    """

    said: set[int] = field(default_factory=set)
    may_be: set[int] = field(default_factory=set)
    device_kills: int = 0
    cloud_kills: int = 0
    stored: collections.Counter[int] = field(default_factory=collections.Counter)
    repeats: int = 0
    cuts: int = 0
    seconds: float = 0.0

    @property
    def lost(self) -> set[int]:
        """Numbers that the outbox had and the cloud has not."""
        return self.said - set(self.stored)

    @property
    def invented(self) -> set[int]:
        """Numbers that the cloud has and the outbox never had."""
        return set(self.stored) - self.said - self.may_be

    @property
    def twice(self) -> int:
        """How many rows the cloud has too many."""
        return self.stored.total() - len(self.stored)

    def report(self) -> str:
        """Return the result in one paragraph."""
        return (
            f"{len(self.said)} reports in {self.seconds:.0f} s, {self.cuts} connections cut at a random"
            f" byte, {self.device_kills} kills of the device and {self.cloud_kills} of the cloud:"
            f" {len(self.lost)} lost, {len(self.invented)} invented, {self.twice} stored twice;"
            f" the cloud dropped {self.repeats} repeats."
        )


class Device:
    """The device's process, and the numbers that it said."""

    def __init__(self, folder: Path, profile: Path, link: str, tally: Tally, together: int) -> None:
        """Use ``folder`` for the outbox; ``together`` reports are put at once."""
        self._together = together
        module = "tools.report_proof.sender"
        self._words = [sys.executable, "-m", module, str(folder), str(profile), link]
        self._tally = tally
        self._next = 1
        self.process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self, count: int) -> None:
        """Start it; it puts ``count`` more reports."""
        self.process = subprocess.Popen(
            [*self._words, str(self._next), str(count), str(self._together)],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  # its threads only read
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,))
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            if line.endswith("\n") and line[:-1].isdigit():
                self._tally.said.add(int(line))

    def kill(self) -> None:
        """Kill it with kill -9; the numbers after the last may be in the outbox."""
        if self.process is None or self._reader is None:
            return
        self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        # One that was killed before it said anything had begun with the numbers that it was started with.
        first = max(self._next, max(self._tally.said, default=0) + 1)
        self._next = first + self._together
        self._tally.may_be.update(range(first, self._next))

    @property
    def is_done(self) -> bool:
        """Whether it has put and delivered all, and ended."""
        return self.process is not None and self.process.poll() is not None


class Proof:
    """One run."""

    def __init__(self, folder: Path, link: str, seed: int, together: int) -> None:
        """Start the cloud and the proxy, and make the device."""
        self._chance = random.Random(seed)  # noqa: S311  # for moments, not secrets
        self._together = together
        self.tally = Tally()
        self.bench = Bench(folder)
        self.bench.start_cloud(0, 0, mqtt=link == "mqtt")
        self.bench.flash_device()
        host, port = self.bench.device_address.rsplit(":", 1)
        profile = json.loads(self.bench.profile_path.read_text())
        configures = json.loads(profile["configures"])
        # The broker's port, which the broker has again after each kill; 0: there is none.
        self._mqtt_port = int(configures.get("mqttPort", 0))
        self.proxy = CuttingProxy(
            host, self._mqtt_port or int(port), self._chance,
            CUT_BYTES if together == 1 else LONG_CUT_BYTES,
        )  # fmt: skip
        profile["coapPort"] = configures["mqttPort"] = self.proxy.port
        profile["configures"] = json.dumps(configures)
        self.bench.profile_path.write_text(json.dumps(profile))
        self.device = Device(self.bench.state, self.bench.profile_path, link, self.tally, together)

    def run(self, count: int) -> None:
        """Put ``count`` reports through kills, then let the rest arrive."""
        began = time.monotonic()
        self.device.start(count)
        while len(self.tally.said) < count:
            self._wait_for_more(len(self.tally.said))
            time.sleep(self._chance.uniform(*KILL_SECONDS))
            left = count - len(self.tally.said)
            if self._chance.random() < 0.3:
                self._kill_cloud()
            elif left > 0:
                self.device.kill()
                self.tally.device_kills += 1
                self.device.start(left)
        # Many that wait come through the cuts too; few would be through before one.
        self.proxy.cuts_on = self._together > 1
        end = time.monotonic() + DRAIN_SECONDS + count * DRAIN_SECONDS_EACH
        while not self.device.is_done and time.monotonic() < end:
            time.sleep(0.1)
        self.tally.seconds = time.monotonic() - began
        self.tally.cuts = self.proxy.cuts

    def _wait_for_more(self, said: int) -> None:
        """Wait until the device has put something: on a busy machine it may start for longer than it lives."""
        end = time.monotonic() + START_SECONDS
        while len(self.tally.said) <= said and time.monotonic() < end:
            time.sleep(0.05)

    def _kill_cloud(self) -> None:
        """Kill the cloud with kill -9, and start it on the same ports and data."""
        if self.bench.cloud is None:
            return
        self.bench.cloud.kill()
        self.tally.cloud_kills += 1
        log = self.bench.folder / f"cloud-{self.tally.cloud_kills}.log"
        words: list[str | Path] = ["serve", "--data", self.bench.cloud_data, "--api-port", "0"]
        port = self.bench.device_address.rsplit(":", 1)[1]
        words += ["--device-port", port]
        if self._mqtt_port:
            words += ["--mqtt-port", str(self._mqtt_port)]
        self.bench.cloud = Service("story-cloud", words, log)
        self.bench.cloud.wait_for_line("ready ")

    def count(self) -> None:
        """Count what the cloud has."""
        with sqlite3.connect(next(self.bench.cloud_data.glob("*.sqlite*"))) as database:
            rows = database.execute("SELECT value FROM reports WHERE key = ?", (KEY,))
            self.tally.stored.update(int(value) for (value,) in rows)
        for log in self.bench.folder.glob("cloud*.log"):
            for line in log.read_text(errors="replace").splitlines():
                if line.endswith("repeated reports dropped"):
                    self.tally.repeats += int(line.rsplit(":", 1)[1].split()[0])

    def close(self) -> None:
        """End all processes."""
        self.device.kill()
        self.bench.stop()
        self.proxy.close()


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.report_proof", description=__doc__)
    parser.add_argument(
        "--link", choices=["coap", "mqtt"], default="coap", help="the link to prove"
    )
    parser.add_argument("--reports", type=int, default=2500, help="how many (default: 2500)")
    parser.add_argument("--together", type=int, default=1, help="reports put at once (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    parser.add_argument("--write", type=Path, help="a file for the result")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="story-reports-") as folder:
        proof = Proof(Path(folder), options.link, options.seed, options.together)
        try:
            proof.run(options.reports)
        finally:
            proof.close()
        proof.count()
    tally = proof.tally
    print(tally.report())
    if options.write:
        options.write.write_text(f"{tally.report()}\n")
    for name, numbers in (("lost", tally.lost), ("invented", tally.invented)):
        if numbers:
            print(f"{name}: {sorted(numbers)[:20]}")
    return int(bool(tally.lost or tally.invented or tally.twice))


if __name__ == "__main__":
    sys.exit(main())
