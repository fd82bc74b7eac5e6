"""Proves that a full disk takes no device off line: a real cloud, on a small disk that is filled, and a real agent.

    python -m tools.store_proof [--seconds N]

Needs root, for the disk is a tmpfs. The agent's keepalive comes every second. While the disk is full, apps set
and read, the cloud is stopped and started, and what the device reports waits; then there is room again, and
the report arrives. Exit code 0 only if all of that was so.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from staging.client import OpenApiClient, OpenApiError
from tools.amounts import amount
from tools.bench import AGENT_CONFIG, Bench
from tools.processes import BenchError, command

DISK_MIB = 48
SECONDS = 20.0
DEADLINE = 60.0
SETTINGS = AGENT_CONFIG.replace("[voice]", "[link]\nkeepalive_seconds = 1\n[voice]")
# A full disk says little: a line at the beginning, one at a start, and some of what could not be kept.
LINES_LIMIT = 30


class ProofError(Exception):
    """What should be so is not."""


class Proof:
    """One run on a disk of its own."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        """Mount the disk, and start cloud and agent."""
        self.bench = Bench(folder)
        self.bench.cloud_data.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", self.bench.cloud_data],
            check=True,
        )
        stack.callback(self._unmount)
        stack.callback(self.bench.stop)
        self.bench.start_cloud(0, 0)
        self._ports = [
            self.bench.api.rpartition(":")[2],
            self.bench.device_address.rpartition(":")[2],
        ]
        self.bench.flash_device()
        (folder / "agent.toml").write_text(SETTINGS)
        self.bench.start_agent()
        self.client: OpenApiClient = stack.enter_context(self.bench.client())
        self.uuid = self.bench.device["uuid"]
        self.client.bind(self.uuid, self.bench.device["bindToken"])
        self.client.send(self.uuid, "PUT", "volume", "3")
        self._filler = self.bench.cloud_data / "filler"
        self._lines_before = 0
        """Of the log before the cloud's last start."""

    def _unmount(self) -> None:
        subprocess.run(["umount", "-l", self.bench.cloud_data], check=False)

    def fill(self) -> None:
        """Write until the disk takes nothing more, down to the last byte."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def walk(self, seconds: float) -> list[str]:
        """Go through everything; return what was seen, line by line."""
        told = []
        self.fill()
        before, lines = self.bench.agent_status(), self._log_lines()
        command("story-agent", "set", "volume", "9", "--state", self.bench.state)
        told.append(f"{self._use(seconds)} requests of apps on the full disk, all answered")
        after = self.bench.agent_status()
        self._expect(after["link"]["state"], "online", "link")
        waiting = after["outbox"]["waiting"]
        self._expect(waiting > 0, True, "a report waits on the device")
        told.append(
            f"the device stayed on its connection: {self._same(before, after)}; {waiting} reports waited"
        )
        self._restart()
        told.append("the cloud was stopped and started on the full disk; the device came back")
        told.append(f"{self._use(seconds / 4)} more requests")
        lines = self._lines_before + self._log_lines() - lines
        self._expect(lines <= LINES_LIMIT, True, f"{lines} lines of the log, at most {LINES_LIMIT}")
        told.append(f"{lines} lines of the cloud's log in all of that")
        self._filler.unlink()
        freed = time.monotonic()
        self._wait("the report", lambda: self.client.realtime(self.uuid, "volume") or None)
        self._wait("an empty outbox", lambda: self._waiting() == 0 or None)
        self.client.send(self.uuid, "PUT", "volume", "4")
        took = time.monotonic() - freed
        told.append(
            f"with room again all reports arrived within {took:.1f} s, and changes are kept"
        )
        return told

    def _use(self, seconds: float) -> int:
        """Set and read for a while; return how often."""
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            self.fill()
            for method, value in (("PUT", str(count % 17)), ("GET", None)):
                code = self.client.send(self.uuid, method, "volume", value)["code"]
                self._expect(code[0], "2", f"{method} volume: {code}")
            self.client.info(self.uuid)
            self.client.history(self.uuid)
            count += 4
            time.sleep(0.1)
        return count

    def _restart(self) -> None:
        assert self.bench.cloud is not None  # noqa: S101  # started by __init__
        self.bench.cloud.stop()
        self.fill()
        api, device = (int(port) for port in self._ports)
        self._lines_before += self._log_lines()
        self.bench.cloud.log.write_text("")
        self.bench.start_cloud(api, device)

        def is_back() -> bool | None:
            return self.client.online([self.uuid])[self.uuid] or None

        self._wait("the device", is_back)

    def _wait(self, what: str, look: Callable[[], object | None]) -> None:
        assert self.bench.cloud is not None  # noqa: S101  # started by __init__

        def quietly() -> object | None:
            with contextlib.suppress(OpenApiError):
                return look()
            return None

        self.bench.cloud.wait_for(what, quietly, DEADLINE)

    def _waiting(self) -> int:
        return int(self.bench.agent_status().get("outbox", {}).get("waiting", -1))

    def _log_lines(self) -> int:
        assert self.bench.cloud is not None  # noqa: S101  # started by __init__
        return len(self.bench.cloud.log.read_text(errors="replace").splitlines())

    @staticmethod
    def _same(before: dict[str, object], after: dict[str, object]) -> str:
        links = [status.get("link") for status in (before, after)]
        found = [
            link.get("since", link.get("connected_since"))
            for link in links
            if isinstance(link, dict)
        ]
        return "the same one" if found and found[0] == found[-1] else "it changed"

    @staticmethod
    def _expect(got: object, expected: object, what: str) -> None:
        if got != expected:
            raise ProofError(f"{what}: got {got!r}, expected {expected!r}")


def main() -> int:
    """Run the proof and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=amount(), default=SECONDS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("store-proof: needs root, to mount a small disk", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="story-store-") as folder, ExitStack() as stack:
        try:
            for line in Proof(stack, Path(folder)).walk(options.seconds):
                print(f"- {line}")
        except (ProofError, BenchError, OpenApiError) as error:
            print(f"store-proof: {error}", file=sys.stderr)
            log = Path(folder) / "cloud.log"
            print(log.read_text(errors="replace")[-3000:] if log.exists() else "", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
