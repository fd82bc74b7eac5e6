"""How soon the cloud knows that a machine has gone: frozen (SIGSTOP), killed, or behind a black hole, on each link.

    python -m tools.presence_proof [--link coap|mqtt] [--times N]

Real processes: cloud, agent and, for MQTT, a broker. Exit code 0 only if each is known within LIMIT seconds, and if the
machine is on line again afterwards.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from staging.client import OpenApiClient
from tools.amounts import whole
from tools.bench import Bench, wait_online
from tools.processes import BenchError

LIMIT = 30.0
# Seconds until a machine that was let go is on line again: its own waits and a new connection.
BACK_SECONDS = 150.0
WAIT_SECONDS = 60.0
# Seconds of quiet before the next one, of different length so that it falls anywhere between two pings.
QUIET = (1.0, 7.0, 13.0, 19.0)


class Proof:
    """One cloud and one machine, which goes and comes back."""

    def __init__(self, bench: Bench) -> None:
        """Use a bench with a registered agent."""
        self._bench = bench
        self._client: OpenApiClient = bench.client()
        if not self._client.bind(bench.device["uuid"], bench.device["bindToken"]):
            raise BenchError("the machine cannot be bound")

    @property
    def _uuid(self) -> str:
        return self._bench.device["uuid"]

    def _is_online(self) -> bool:
        return self._client.online([self._uuid])[self._uuid]

    def run(self, name: str, begin: Callable[[], object], end: Callable[[], object]) -> float:
        """Let the machine go, wait until that is known, and let it come back."""
        begin()
        try:
            seconds = wait_online(self._is_online, wanted=False, seconds=WAIT_SECONDS)
        finally:
            end()
        back = wait_online(self._is_online, wanted=True, seconds=BACK_SECONDS)
        print(
            f"{name}: off line after {seconds:.1f} s, on line again after {back:.1f} s", flush=True
        )
        return seconds

    def all(self, times: int) -> list[float]:
        """Run each fault ``times`` times; return the seconds."""
        found: list[float] = []
        for number in range(times):
            time.sleep(QUIET[number % len(QUIET)])
            found.append(
                self.run(
                    "frozen",
                    lambda: self._signal(signal.SIGSTOP),
                    lambda: self._signal(signal.SIGCONT),
                )
            )
            found.append(self.run("half-open", self._hole, self._clear))
        return found

    def _signal(self, number: signal.Signals) -> None:
        if self._bench.agent is not None:
            os.kill(self._bench.agent.process.pid, number)

    def _hole(self) -> None:
        self._bench.story_cloud("fault", "set", self._uuid, "half_open", "seconds=600")

    def _clear(self) -> None:
        self._bench.story_cloud("fault", "clear", self._uuid)


def main(words: Sequence[str] | None = None) -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(description="How soon it is known that a machine has gone.")
    parser.add_argument("--link", choices=["coap", "mqtt"], default="coap")
    parser.add_argument("--times", type=whole(1), default=2, metavar="N")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="story-presence-") as folder:
        bench = Bench(Path(folder))
        try:
            bench.start_cloud(0, 0, mqtt=options.link == "mqtt", faults=True)
            bench.flash_device()
            bench.start_agent()
            found = Proof(bench).all(options.times)
        except BenchError as error:
            print(f"presence-proof: {error}", file=sys.stderr)
            return 1
        finally:
            bench.stop()
    print(f"over {options.link}: the longest was {max(found):.1f} s, at most {LIMIT:g} are allowed")
    return int(max(found) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
