"""Measures the time from the agent's start until the cloud has answered its registration.

This includes the process's start: from before the fork to the line that the agent logs when the
cloud has answered. The reference is the bare interpreter, with and without the imports that any
agent with asyncio and TLS needs.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import Aim, Figure, command_line, figure
from benchmarks.stage import on_stage
from tools.bench import Bench
from tools.processes import BIN, BenchError

ROUNDS = 15
DEADLINE = 30.0
STOP_DEADLINE = 10.0
REGISTERED = "link: registered with"
BARE = "pass"
IMPORTS = "import asyncio, ssl"


def measure(bench: Bench) -> list[Figure]:
    """Start agent and interpreters in turns; no agent may run on ``bench`` yet."""
    ours, bare, imports = [], [], []
    for _ in range(ROUNDS):
        bare.append(time_interpreter(BARE))
        imports.append(time_interpreter(IMPORTS))
        ours.append(time_to_registered(bench))
    name = "start to registered"
    return [
        figure(name, "s", ours, f'python -c "{IMPORTS}"', imports, Aim("ours", "<", 0.2)),
        figure(name, "s", ours, f"python -c {BARE}", bare),
    ]


def time_interpreter(code: str) -> float:
    """Return the seconds from spawning an interpreter to its end."""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", code]) as process, killed_when_late(process):
        # Without a timeout: with one, wait() only polls every few milliseconds.
        code_of_exit = process.wait()
        took = time.perf_counter() - started
    if code_of_exit:
        raise BenchError(f"python -c {code!r} ended with {code_of_exit}")
    return took


def time_to_registered(bench: Bench) -> float:
    """Return the seconds from spawning the agent to its registration, and stop it."""
    words: list[str | Path] = ["run", "--profile", bench.profile_path, "--state", bench.state]
    started = time.perf_counter()
    process = subprocess.Popen(
        [BIN / "story-agent", *words, "--config", bench.folder / "agent.toml"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with killed_when_late(process):
        try:
            return _wait_for_line(process) - started
        finally:
            _end(process)


@contextmanager
def killed_when_late(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kill the process if the block takes longer than the deadline."""
    timer = threading.Timer(DEADLINE, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _wait_for_line(process: subprocess.Popen[str]) -> float:
    assert process.stderr is not None
    line = ""
    for line in process.stderr:
        if REGISTERED in line:
            return time.perf_counter()
    raise BenchError(f"the agent did not register; its last words: {line.strip() or 'none'}")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=STOP_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    sys.exit(command_line(__doc__, on_stage(measure)))
