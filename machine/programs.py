"""Runs a program to its end, with a deadline; it is killed when that passes, or when nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from machine.errors import UnavailableError

# A pipe's rest is there at once; a child of the process may hold the pipe open.
DRAIN_SECONDS, DRAIN_BYTES = 1.0, 64 * 1024


def find_on_path(name: str) -> str | None:
    """Return where PATH has a program, None if nowhere; shutil.which does the same, and loads archives' formats."""
    for folder in os.get_exec_path():
        found = os.path.join(folder, name)  # noqa: PTH118  # an empty entry is this folder
        if os.path.isfile(found) and os.access(found, os.X_OK):  # noqa: PTH113
            return found
    return None


async def run_program(
    command: Sequence[str], seconds: float, environment: Mapping[str, str]
) -> str:
    """Run ``command`` and return what it printed.

    Args:
        command: the program and its arguments.
        seconds: how long it may take.
        environment: its variables; its messages are in English whatever they say.

    Raises:
        UnavailableError: it cannot be started, is not over in time, or fails; in its own words.
    """
    name = Path(command[0]).name
    try:
        process = await asyncio.create_subprocess_exec(
            *command, env={**environment, "LC_ALL": "C"}, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:  # removed, wrong architecture, or out of memory
        raise UnavailableError(f"{name}: cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(seconds):
            printed, told = await process.communicate()
    except TimeoutError as error:
        raise UnavailableError(f"{name}: has not ended in {seconds:g} s") from error
    finally:
        if process.returncode is None:
            await kill(process)
    if process.returncode:
        lines = told.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"{name}: {lines[-1]}")
    return printed.decode(errors="replace")


async def kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process and wait for its end.

    asyncio takes a process for ended when its pipes have ended too, and reads no further in one that is
    full (Python 3.11): what the process has left there is read and dropped.
    """
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            for pipe in (process.stdout, process.stderr):
                while pipe is not None and await pipe.read(DRAIN_BYTES):
                    pass
    await process.wait()
