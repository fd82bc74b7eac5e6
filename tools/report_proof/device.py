"""A device of the proof: its process, its own way to the cloud, and the numbers that it said."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading

from tools.bench import Bench
from tools.processes import die_with_parent
from tools.report_proof.proxy import CuttingProxy
from tools.report_proof.tally import Tally

# Each device has so many numbers of its own.
NUMBERS_EACH = 10_000_000


class Device:
    """A process with the agent's outbox, delivery and link, behind a proxy that cuts its connections."""

    def __init__(
        self,
        bench: Bench,
        place: int,
        link: str,
        together: int,
        cut_bytes: tuple[int, int],
        chance: random.Random,
        tally: Tally,
    ) -> None:
        """Add it to the cloud of ``bench`` and flash it; ``together`` reports are put at once."""
        self.folder = bench.folder / f"device-{place}"
        self.folder.mkdir()
        self.uuid = str(bench.story_cloud("device", "add")["uuid"])
        self.numbers = range(place * NUMBERS_EACH + 1, (place + 1) * NUMBERS_EACH)
        self.proxy = self._flash(bench, link, cut_bytes, chance)
        self._link, self._together, self._tally = link, together, tally
        self._next = self.numbers.start
        self._last = self.numbers.start - 1
        self.said = 0
        """How many numbers its outbox has taken, of all of its processes."""
        self.process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def _flash(
        self, bench: Bench, link: str, cut_bytes: tuple[int, int], chance: random.Random
    ) -> CuttingProxy:
        """Write its profile, which names the proxy in place of the cloud, and start that."""
        profile = bench.story_cloud("device", "profile", self.uuid)
        configures = json.loads(profile["configures"])
        host, port = bench.device_address.rsplit(":", 1)
        to = int(configures["mqttPort"]) if link == "mqtt" else int(port)
        proxy = CuttingProxy(host, to, chance, cut_bytes)
        profile["coapPort"] = configures["mqttPort"] = proxy.port
        profile["configures"] = json.dumps(configures)
        (self.folder / "profile.json").write_text(json.dumps(profile))
        return proxy

    def start(self, count: int) -> None:
        """Start it; it puts ``count`` more reports."""
        words = [str(self.folder), str(self.folder / "profile.json"), self._link]
        numbers = [str(self._next), str(count), str(self._together)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.report_proof.sender", *words, *numbers],
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
                self._last = int(line)
                self._tally.said.add(self._last)
                self.said += 1

    def kill(self) -> None:
        """Kill it with kill -9; the numbers after the last may be in the outbox."""
        if self.process is None or self._reader is None:
            return
        if self.process.poll():  # it ended before, and not because all is delivered
            self._tally.died += 1
        self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        # One that was killed before it said anything had begun with the numbers that it was started with.
        first = max(self._next, self._last + 1)
        self._next = first + self._together
        self._tally.may_be.update(range(first, self._next))

    @property
    def is_done(self) -> bool:
        """Whether it has put and delivered all, and ended."""
        return self.process is not None and self.process.poll() is not None

    def close(self) -> None:
        """End its process and its proxy."""
        self.kill()
        self.proxy.close()
