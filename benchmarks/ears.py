"""Measures what listening costs a whole agent, and how soon it hears: rows of ``make bench`` (docs/listening.md).

A real agent, a real cloud and a sound server's virtual microphone. Processor time and memory are those of the agent and all
its child processes: idle, while somebody speaks and is listened to, and while the microphone waits for a wake word.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.listening import SPANS, listen, microphone
from benchmarks.memory import family, memory
from benchmarks.stage import agent, stage
from tools import spoken
from tools.bench import Bench
from tools.listen_proof import store_word
from tools.pulse import MicServer

ROUNDS = 3
SECONDS = 10.0
SPEECH = "从前有一座山山里有一座庙庙里有一个老和尚在给小和尚讲故事"
WAKE = "[wake]\non = true\n"
# Seconds, of the issue: the first segment is with the cloud 400 ms after a child begins to speak; the begin is noticed
# 60 to 180 ms after the first loud block.
SEGMENT_AIM = 0.4
IDLE = "the same agent, idle"
STATUS = "a status over the local socket"


def measure() -> list[Figure]:
    """Measure the figures; none on a machine without a sound server or a voice."""
    if lacking := spoken.missing():
        print(f"benchmarks.ears: left out, missing: {', '.join(lacking)}", file=sys.stderr)
        return []
    with microphone() as server, stage() as bench:
        plain = (bench.folder / "agent.toml").read_text("utf-8") + spoken.settings()
        store_word(bench.state)
        (bench.folder / "agent.toml").write_text(plain, "utf-8")
        with agent(bench) as pid:
            figures = _spans(bench, server)
            idle = [_cost(pid) for _ in range(ROUNDS)]
            heard = [_while_held(bench, server, pid) for _ in range(ROUNDS)]
        (bench.folder / "agent.toml").write_text(plain + WAKE, "utf-8")
        with agent(bench) as pid:
            _until_open(bench)
            waits = [_cost(pid) for _ in range(ROUNDS)]
    return [
        *figures,
        *_costs("listening", heard, idle),
        *_costs("waiting for a wake word", waits, idle),
    ]


def _costs(
    what: str, ours: list[tuple[float, float]], idle: list[tuple[float, float]]
) -> list[Figure]:
    return [
        figure(f"{what}: of a core", "%", [c for c, _ in ours], IDLE, [max(0.01, c) for c, _ in idle]),
        figure(f"{what}: PSS", "MB", [m for _, m in ours], IDLE, [m for _, m in idle]),
    ]  # fmt: skip


def _spans(bench: Bench, server: MicServer) -> list[Figure]:
    """Return how soon what happens after a wish and a word."""
    turns = [(listen(bench, server)["seconds"], _status_time(bench)) for _ in range(ROUNDS)]
    return [
        figure(
            name, "s", [t[last] - t[first] for t, _ in turns], STATUS, [beside for _, beside in turns],
            Aim("ours", "<", SEGMENT_AIM) if last == "first_segment" else None,
        )
        for name, first, last in SPANS
    ]  # fmt: skip


def _status_time(bench: Bench) -> float:
    began = time.monotonic()
    bench.agent_status()
    return time.monotonic() - began


def _cost(pid: int) -> tuple[float, float]:
    """Return percent of a core over `SECONDS`, and PSS in MB."""
    before, began = _processor(pid), time.monotonic()
    time.sleep(SECONDS)
    spent = _processor(pid) - before
    return 100 * max(0.0, spent) / (time.monotonic() - began), memory(pid).pss


def _processor(pid: int) -> float:
    """Return the seconds of processor time of a process and its descendants."""
    ticks = 0
    for each in family(pid):
        with contextlib.suppress(OSError):  # a recorder that has ended since it was listed
            fields = Path(f"/proc/{each}/stat").read_text("ascii").rsplit(") ", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _while_held(bench: Bench, server: MicServer, pid: int) -> tuple[float, float]:
    """Return the cost while the machine listens to somebody who speaks all the time."""
    asking = threading.Thread(target=_ask, args=(bench, "hold"), daemon=True)
    asking.start()
    _until(bench, "waiting", "speaking")
    talking = threading.Thread(target=spoken.speak, args=(server, SPEECH), daemon=True)
    talking.start()
    cost = _cost(pid)
    _ask(bench, "cancel")
    asking.join(SECONDS)
    talking.join(spoken.SPEAK_SECONDS)
    return cost


def _ask(bench: Bench, action: str) -> None:
    bench.local().request("POST", "/listen", action.encode())


def _until(bench: Bench, *states: str) -> None:
    deadline = time.monotonic() + spoken.STEP_SECONDS
    while _listening(bench).get("state") not in states and time.monotonic() < deadline:
        time.sleep(0.05)


def _until_open(bench: Bench) -> None:
    deadline = time.monotonic() + spoken.STEP_SECONDS
    while not _listening(bench).get("wake", {}).get("open") and time.monotonic() < deadline:
        time.sleep(0.05)


def _listening(bench: Bench) -> dict[str, Any]:
    return dict(bench.agent_status().get("listening") or {})


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
