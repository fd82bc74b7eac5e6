"""Proves that a command is not carried out late, and measures when both sides know of a dead link.

    python -m tools.command_proof [--link coap|mqtt] [--stalls 5,15,60] [--write FILE]

A real cloud (with ``--link mqtt`` its broker) and a real agent, with a proxy between them that stalls the link in one direction or both,
and goes on to deliver what it holds. During each stall an app sets the volume to many values at once.

- Down or both: after a stall of more than 10 s nothing may be carried out at all, because every
  command's deadline has passed; after a shorter one everything is.
- Up: commands arrive in time and only their answers are late; nothing may change after the deadline.
- An answer that a cut loses is told as "sent, no answer".
- A stall that does not end: both sides must know within 30 s.

Exit code 0 only if all of that holds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from staging.client import OpenApiClient, OpenApiError
from tools.bench import Bench
from tools.command_proof.proxy import StallingProxy

# Seconds: the cloud's deadline for a request, and what a command may take beyond it.
DEADLINE, SLACK = 10.0, 0.5
# What both sides may take to know of a dead link, in seconds.
HALF_OPEN = 30.0
# The volumes that are set at once; the session takes 16 requests.
VALUES = range(1, 16)
# The longest wait for the agent to be back, in seconds; the bench's agent waits 60 s at most.
RETURN = 120.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a stall, and what became of the commands that were sent in it."""

    what: str
    seconds: float
    answered: int
    failed: int
    carried_out: int
    late: int
    back: float

    def __str__(self) -> str:
        """Return the line in Markdown."""
        cells = (
            self.what, f"{self.seconds:g} s", len(VALUES), self.answered, self.failed,
            self.carried_out, self.late, f"{self.back:.1f} s",
        )  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |"


HEAD = """\
| stalled | for | commands | answered 2.04 | told 504 or 503 | carried out | carried out late | online again after |
|---|---|---|---|---|---|---|---|"""


class Proof:
    """One cloud, one agent behind the proxy, and an app."""

    def __init__(self, bench: Bench, proxy: StallingProxy, client: OpenApiClient) -> None:
        """Use a bench whose agent is online."""
        self._bench = bench
        self._proxy = proxy
        self._client = client
        self._uuid = bench.device["uuid"]

    def stall(self, seconds: float, *directions: str) -> Row:
        """Stall the link, send the commands at its beginning, and count what became of them."""
        self._settle()
        self._set(0)
        self._settle()
        known = self._reported()
        with ThreadPoolExecutor(len(VALUES)) as pool, self._proxy.stalled(*directions):
            began = time.monotonic()
            sent = [pool.submit(self._set, value) for value in VALUES]
            time.sleep(min(seconds, DEADLINE + SLACK))
            at_deadline = self._volume()
            time.sleep(max(0.0, began + seconds - time.monotonic()))
        ended = time.monotonic()
        self._settle()
        back = time.monotonic() - ended
        answers = [each.result() for each in sent]
        time.sleep(SLACK)
        new = {value for ts, value in self._reported().items() if ts not in known}
        done = len(new & set(VALUES))
        late = 0
        if seconds > DEADLINE:
            late = done if "down" in directions else int(self._volume() != at_deadline)
        answered = sum(answer == "2.04" for answer in answers)
        return Row(
            " and ".join(directions), seconds, answered, len(answers) - answered, done, late, back
        )

    def lost_answer(self) -> str:
        """Cut the link before an answer has come back; return what the app was told."""
        self._settle()
        with ThreadPoolExecutor(1) as pool, self._proxy.stalled("up"):
            told = pool.submit(self._set, 7)
            self._wait(lambda: self._volume() == 7, DEADLINE)
            self._proxy.cut()
            return told.result()

    def half_open(self) -> tuple[float, float]:
        """Stall the link for good; return when the cloud and the agent knew, in seconds."""
        self._settle()
        with self._proxy.stalled("up", "down"):
            began = time.monotonic()
            knew: dict[str, float] = {}
            while len(knew) < 2 and time.monotonic() - began < 2 * HALF_OPEN:
                if not self._is_online():
                    knew.setdefault("cloud", time.monotonic() - began)
                if self._link_state() != "online":
                    knew.setdefault("agent", time.monotonic() - began)
                time.sleep(0.1)
        never = 2 * HALF_OPEN
        return knew.get("cloud", never), knew.get("agent", never)

    def _set(self, value: int) -> str:
        """Set the volume through the open API; return the device's code, or the error's text."""
        try:
            return str(self._client.send(self._uuid, "PUT", "volume", str(value))["code"])
        except OpenApiError as error:
            return str(error)

    def _volume(self) -> int:
        request = self._bench.local().request("GET", "/volume")
        return int(request.text)

    def _reported(self) -> dict[int, int]:
        """Return the volumes that the device has reported itself, by their times."""
        entries = self._client.whole_history(self._uuid, key="volume", kind="REPORT")
        return {entry["timeStamp"]: int(entry["value"]) for entry in entries}

    def _is_online(self) -> bool:
        return self._client.online([self._uuid])[self._uuid]

    def _link_state(self) -> str:
        return str(self._bench.agent_status().get("link", {}).get("state"))

    def _settle(self) -> None:
        """Wait until both sides say that the device is online, and every report is delivered."""
        self._wait(self._is_settled, RETURN)

    def _is_settled(self) -> bool:
        status = self._bench.agent_status()
        waiting = status.get("outbox", {}).get("waiting")
        return status["link"]["state"] == "online" and waiting == 0 and self._is_online()

    @staticmethod
    def _wait(condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"not reached within {seconds:g} s: {condition.__qualname__}")
            time.sleep(0.1)


def prove(proof: Proof, stalls: list[float]) -> tuple[list[str], bool]:
    """Run all; return the lines of the report, and whether everything holds."""
    lines, holds = [HEAD], True
    for seconds in stalls:
        for directions in (("down",), ("up",), ("up", "down")):
            row = proof.stall(seconds, *directions)
            lines.append(str(row))
            print(row, flush=True)
            complete = row.carried_out == len(VALUES) if seconds < DEADLINE else True
            holds = holds and row.late == 0 and complete
    told = proof.lost_answer()
    lines += ["", f"An answer lost by a cut: the app is told `{told}`."]
    cloud, agent = proof.half_open()
    lines.append(
        f"A link that stalls for good: the cloud knew after {cloud:.1f} s, the agent after {agent:.1f} s."
    )
    return lines, holds and "sent, no answer" in told and max(cloud, agent) <= HALF_OPEN


def _port(profile: dict[str, Any], link: str) -> int:
    """Return the port of the cloud, or of its broker, which is told in ``configures``."""
    return int(
        profile["coapPort"] if link == "coap" else json.loads(profile["configures"])["mqttPort"]
    )


def _through(profile: dict[str, Any], link: str, port: int) -> dict[str, Any]:
    """Return the profile with another port for the link."""
    if link == "coap":
        return profile | {"coapPort": port}
    configures = json.loads(profile["configures"]) | {"mqttPort": port}
    return profile | {"configures": json.dumps(configures)}


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.command_proof")
    parser.add_argument("--link", choices=["coap", "mqtt"], default="coap")
    parser.add_argument("--stalls", default="5,15,60", help="seconds, separated by commas")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there too")
    options = parser.parse_args()
    stalls = [float(text) for text in options.stalls.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.start_cloud(0, 0, mqtt=options.link == "mqtt")
        bench.flash_device()
        profile = json.loads(bench.profile_path.read_text())
        proxy = StallingProxy(_port(profile, options.link))
        proxy.start()
        try:
            bench.profile_path.write_text(json.dumps(_through(profile, options.link, proxy.port)))
            client = bench.client()
            client.bind(bench.device["uuid"], bench.device["bindToken"])
            bench.start_agent()
            lines, holds = prove(Proof(bench, proxy, client), stalls)
        finally:
            bench.stop()
            proxy.stop()
    text = "\n".join(lines) + "\n"
    print("\n" + text)
    if options.write:
        options.write.write_text(text)
    print("holds" if holds else "FAILED")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
