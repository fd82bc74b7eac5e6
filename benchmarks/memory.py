"""Measures the memory of the idle, connected agent and its child processes: RSS and PSS.

RSS counts shared pages in full, PSS divides them by their users. The reference is an interpreter
that has imported asyncio and ssl and waits. MB are 1,000,000 bytes. The aim is of an agent that nobody
has asked anything since its start; the other figure is of one whose local API was asked once.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.stage import agent, on_stage
from tools.bench import Bench

ROUNDS = 3
# The reports after a start are sent within the first second; keepalives come every 55 s.
IDLE_SECONDS = 5.0
# Until its connection to the local API is gone again.
ASKED_SECONDS = 2.0
END_DEADLINE = 5.0
BARE = "import asyncio, ssl, sys; print(flush=True); sys.stdin.read()"
BARE_NAME = 'python -c "import asyncio, ssl"'


@dataclass(frozen=True, slots=True)
class Memory:
    """RSS and PSS in MB."""

    rss: float
    pss: float


def measure(bench: Bench) -> list[Figure]:
    """Measure agent and interpreter at the same times; no agent may run on ``bench`` yet."""
    quiet, asked, bare = [], [], []
    for _ in range(ROUNDS):
        with bare_interpreter() as bare_pid, agent(bench, is_asked=False) as agent_pid:
            time.sleep(IDLE_SECONDS)
            quiet.append(memory(agent_pid))
            bare.append(memory(bare_pid))
            bench.agent_status()
            time.sleep(ASKED_SECONDS)
            asked.append(memory(agent_pid))
    rss, pss = "idle RSS of the linked agent", "idle PSS of the linked agent"
    once = "its local API asked once"
    return [
        figure(
            rss, "MB", [m.rss for m in quiet],
            BARE_NAME, [m.rss for m in bare], Aim("ours", "<", 36.0),
        ),
        figure(f"{rss}, {once}", "MB", [m.rss for m in asked], BARE_NAME, [m.rss for m in bare]),
        figure(pss, "MB", [m.pss for m in quiet], BARE_NAME, [m.pss for m in bare]),
        figure(f"{pss}, {once}", "MB", [m.pss for m in asked], BARE_NAME, [m.pss for m in bare]),
    ]  # fmt: skip


@contextmanager
def bare_interpreter() -> Iterator[int]:
    """Run an interpreter that waits; yields its process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", BARE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches only us; it exits when stdin closes
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.communicate(timeout=END_DEADLINE)


def memory(pid: int) -> Memory:
    """Return the memory of a process and its descendants."""
    found = [_rollup(each) for each in family(pid)]
    return Memory(sum(m.rss for m in found), sum(m.pss for m in found))


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    children = [
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
    ]
    return [pid, *(each for child in children for each in family(child))]


def _rollup(pid: int) -> Memory:
    """Read the sums of proc_pid_smaps(5), which are in units of 1,024 bytes."""
    kib = {
        words[0]: int(words[1])
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        if (words := line.split())
    }
    return Memory(kib["Rss:"] * 1024 / 1e6, kib["Pss:"] * 1024 / 1e6)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, on_stage(measure)))
