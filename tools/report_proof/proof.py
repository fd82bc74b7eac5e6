"""Runs the proof: a cloud, devices behind cutting proxies, and kills at random moments."""

from __future__ import annotations

import math
import random
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.bench import Bench
from tools.processes import Service
from tools.report_proof.device import Device
from tools.report_proof.proxy import CUT_BYTES
from tools.report_proof.sender import KEY
from tools.report_proof.tally import Tally

# Seconds between kills, at random: long enough for some reports to arrive in between.
KILL_SECONDS = (0.5, 4.0)
# Of the kills, so many hit the cloud.
CLOUD_SHARE = 0.3
START_SECONDS = 60.0
DRAIN_SECONDS, DRAIN_SECONDS_EACH = 300.0, 0.02
# Bytes until a cut where many reports are put at once: some batches arrive in one connection, more or less.
LONG_CUT_BYTES = (500, 24_000)
# Seconds between two lines of progress.
TELL_SECONDS = 60.0


class Proof:
    """One run."""

    def __init__(
        self,
        folder: Path,
        link: str,
        seed: int,
        together: int,
        devices: int = 1,
        cut_bytes_max: int | None = None,
    ) -> None:
        """Start the cloud, and flash the devices; a connection is cut after ``cut_bytes_max`` at the latest."""
        self._chance = random.Random(seed)  # noqa: S311  # for moments, not secrets
        self._together, self._is_mqtt = together, link == "mqtt"
        self.tally = Tally()
        self._stops = False
        self.bench = Bench(folder)
        self.bench.start_cloud(0, 0, mqtt=self._is_mqtt)
        least, most = CUT_BYTES if together == 1 else LONG_CUT_BYTES
        cut_bytes = (least, cut_bytes_max or most)
        self.devices = [
            Device(self.bench, place, link, together, cut_bytes, self._chance, self.tally)
            for place in range(devices)
        ]

    def stop(self) -> None:
        """Put no more: what is put arrives and counts."""
        self._stops = True

    def run(
        self,
        count: int,
        kill_seconds: tuple[float, float] = KILL_SECONDS,
        seconds: float = math.inf,
    ) -> None:
        """Put ``count`` reports through kills, a share by each device, for ``seconds`` at most; then let the rest arrive."""
        began = told = time.monotonic()
        each = -(-count // len(self.devices))
        for device in self.devices:
            device.start(each)
        while any(device.said < each for device in self.devices):
            if self._stops or time.monotonic() - began > seconds:
                self._put_no_more(each)
                break
            self._wait_for_more(len(self.tally.said))
            time.sleep(self._chance.uniform(*kill_seconds))
            self._kill_one(each)
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                self._tell(told - began)
        # Many that wait come through the cuts too; few would be through before one.
        for device in self.devices:
            device.proxy.cuts_on = self._together > 1
        end = time.monotonic() + DRAIN_SECONDS + count * DRAIN_SECONDS_EACH
        while not all(device.is_done for device in self.devices) and time.monotonic() < end:
            time.sleep(0.1)
        self.tally.seconds = time.monotonic() - began
        self.tally.cuts = sum(device.proxy.cuts for device in self.devices)

    def _put_no_more(self, each: int) -> None:
        """Have each device that is not done put one more, and end once its outbox is empty."""
        for device in self.devices:
            if device.said < each:
                device.kill()
                self.tally.device_kills += 1
                device.start(1)

    def _tell(self, seconds: float) -> None:
        cuts = sum(device.proxy.cuts for device in self.devices)
        said = len(self.tally.said)
        print(f"{said} reports, {cuts} cuts, {seconds:.0f} s", file=sys.stderr, flush=True)

    def _wait_for_more(self, said: int) -> None:
        """Wait until a device has put something: on a busy machine it may start for longer than it lives."""
        end = time.monotonic() + START_SECONDS
        while len(self.tally.said) <= said and time.monotonic() < end:
            time.sleep(0.05)

    def _kill_one(self, each: int) -> None:
        if self._chance.random() < CLOUD_SHARE:
            self._kill_cloud()
            return
        device = self._chance.choice(self.devices)
        if device.said < each:
            device.kill()
            self.tally.device_kills += 1
            device.start(
                max(1, each - device.said)
            )  # the last of them may wait in its outbox still

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
        if self._is_mqtt:
            words += ["--mqtt-port", str(self.bench.mqtt_port)]
        self.bench.cloud = Service("story-cloud", words, log)
        self.bench.cloud.wait_for_line("ready ")

    def count(self) -> None:
        """Count what the cloud has."""
        numbers = {device.uuid: device.numbers for device in self.devices}
        with sqlite3.connect(self.bench.cloud_data / "cloud.sqlite") as database:
            rows = database.execute(
                "SELECT devices.uuid, value FROM reports JOIN devices ON devices.id = device_id"
                " WHERE key = ?",
                (KEY,),
            )
            for uuid, value in rows:
                self.tally.stored[int(value)] += 1
                self.tally.of_others += int(value) not in numbers.get(uuid, range(0))
        self.tally.repeats = sum(map(_repeats, self.bench.folder.glob("cloud*.log")))

    def close(self) -> None:
        """End all processes."""
        for device in self.devices:
            device.close()
        self.bench.stop()


def _repeats(log: Path) -> int:
    """Return how many repeats a cloud says in its log that it dropped."""
    lines: Sequence[str] = log.read_text(errors="replace").splitlines()
    told = [line for line in lines if line.endswith("repeated reports dropped")]
    return sum(int(line.rsplit(":", 1)[1].split()[0]) for line in told)
