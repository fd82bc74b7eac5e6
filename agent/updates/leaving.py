"""Leaves an image that keeps dying after its trial, for the version in the other slot (docs/adr/0077).

Images have no launcher below them, so each start of the agent counts itself, in the way of `ota.launch.starts`, and
the one after too many early deaths has the other slot start. It does that before the agent is imported, which may
be what dies. A machine does so a few times for one version and then stays: it must not restart for ever.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from base.files import read_record, write_atomically
from ota.launch.starts import (
    EARLY_DEATHS,
    EARLY_SECONDS,
    forget,
    image_starts_path,
    note,
    start_now,
)

# Times that one version is left: a power cut in the trial of the older one brings it back, and is no fault of either.
TRIES = 3
# Seconds for the system to stop this process after a restart was ordered; then it goes on as the agent.
REBOOT_SECONDS = 60.0


def find_reason(early: int, tries: int) -> str | None:
    """Return why the running image is left; None: it goes on.

    Args:
        early: its early deaths in a row.
        tries: how often it was left before.
    """
    if early < EARLY_DEATHS or tries >= TRIES:
        return None
    return f"it ended {early} times within {EARLY_SECONDS:.0f} s of its start"


def leave_dying_image(
    state: Path, version: str, wait: Callable[[float], None] = time.sleep
) -> None:
    """Count this start; after too many early deaths have the other slot start, and wait for the machine's restart.

    It returns if the image goes on: also where there is nothing to go back to, and where RAUC or logind fails.

    Args:
        state: the agent's STATE folder.
        version: the running version.
        wait: waits for so many seconds.
    """
    from ota.install.rauc import RaucInstaller  # noqa: PLC0415  # machines with images alone

    installer = RaucInstaller(state, version)
    if not installer.is_confirmed():  # its trial ends otherwise
        forget(state, image_starts_path)
        return
    start = start_now(state, version, image_starts_path)
    note(state, start, image_starts_path)
    tries = tries_of(state, version)
    reason = find_reason(start.early, tries)
    if reason is None:
        return
    try:
        from machine.logind import reboot_machine  # noqa: PLC0415  # hardly ever

        _note_try(state, version, tries + 1)
        older = installer.leave(reason, _older_version(state, version))
        _say(f"version {version} is left: {reason}; the machine restarts into {older}")
        asyncio.run(reboot_machine())
    except Exception as error:  # noqa: BLE001  # it may be what dies, and the agent may live a little all the same
        _say(f"version {version} cannot be left ({reason}): {error}")
        return
    wait(REBOOT_SECONDS)


def tries_path(state: Path) -> Path:
    """Return the path of the count of a version's leavings."""
    return state / "ota" / "left.json"


def tries_of(state: Path, version: str) -> int:
    """Return how often ``version`` was left; a damaged count is none."""
    try:
        source = json.loads(read_record(tries_path(state)))
        return max(0, int(source["tries"])) if source["version"] == version else 0
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return 0


def _note_try(state: Path, version: str, tries: int) -> None:
    text = json.dumps({"version": version, "tries": tries})
    write_atomically(tries_path(state), text.encode())


def _older_version(state: Path, version: str) -> str:
    """Return which version ran before the update to ``version``, "" if that is not known."""
    from ota.order.task import read_task  # noqa: PLC0415  # hardly ever

    task = read_task(state)
    return task.order.old_version if task is not None and task.order.version == version else ""


def _say(message: str) -> None:
    """Write to the journal through stderr: logging is not set up yet."""
    sys.stderr.write(f"story-agent: {message}\n")
