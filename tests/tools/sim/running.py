"""Runs the simulation in a process of its own, as it replaces clock, files, threads and sockets of a whole one."""

from __future__ import annotations

import subprocess
import sys

# Fifty short seeds take half a minute of a core to themselves, and many times that where ten processes want it.
RUN_SECONDS = 900


def run(*words: str) -> str:
    """Run a module with these words; return what it printed. It must end with 0."""
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
