"""``story-agent restart``: restarts the service once no story plays, so that none is cut off.

An upgrade of the Debian package does so too (systemd/deb/story-agent), and whoever has changed settings. `agent.cli` imports
this module at each start, so what the command alone needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from agent.exits import EX_FAILED, EX_OK
from agent.words import Words, say

UNIT = "story-agent.service"
# Seconds. How often a story is asked after, and how long one may delay the restart, as after an update
# (`ota.restart`): a story that is paused for the night must not keep an old version running.
POLL = 5.0
LONGEST = 3600.0
# An agent that is busy answers in milliseconds; one that does not answer plays nothing that counts.
ASK_SECONDS = 10.0
# `systemctl` waits for the stop (TimeoutStopSec of the unit) and the start.
SYSTEMCTL_SECONDS = 120.0
# `resources.playing.events.State.IDLE`, which would take the player along.
STILL = "idle"


def register(subparsers: Any, asking: argparse.ArgumentParser) -> None:
    """Add the command to the command line; ``asking`` has the options that all share."""
    text = Words("没有故事在播放时重启代理", "restart the agent once no story plays")
    parser = subparsers.add_parser("restart", parents=[asking], help=say(text))
    now = Words("立即重启，即使故事正在播放", "at once, even if a story plays")
    parser.add_argument("--now", action="store_true", help=say(now))
    parser.set_defaults(run=run_restart)


def run_restart(options: argparse.Namespace) -> int:
    """Wait for the end of a story, restart the service, and return the exit code."""
    from agent.local.client import AgentUnreachableError, LocalClient  # noqa: PLC0415
    from agent.state import socket_to_ask  # noqa: PLC0415

    def plays() -> bool:
        client = LocalClient(socket_to_ask(options.state), ASK_SECONDS)
        try:
            return is_playing(client.request("GET", "/status").body)
        except (AgentUnreachableError, OSError):
            return False

    if not options.now:
        wait_until_still(plays)
    return _restart()


def is_playing(status: bytes) -> bool:
    """Return whether the agent's status tells of a story that plays, is paused or is being loaded."""
    import json  # noqa: PLC0415

    try:
        state = json.loads(status)["play"]["state"]
    except (ValueError, LookupError, TypeError):  # in set-up mode there is no player
        return False
    return bool(state != STILL)


def wait_until_still(
    plays: Callable[[], bool],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Return True once ``plays`` is false, False if it stays true for `LONGEST` seconds."""
    end, told = now() + LONGEST, False
    while plays():
        if now() >= end:
            return False
        if not told:
            words = Words(
                "等待故事结束，最多一小时", "waiting for the story's end, at most an hour"
            )
            print(say(words), flush=True)
        told = True
        sleep(POLL)
    return True


def _restart() -> int:
    """Restart the unit if it runs; a service that somebody has stopped stays stopped."""
    import subprocess  # noqa: PLC0415

    try:
        done = subprocess.run(  # noqa: S603  # fixed words, no shell
            ["systemctl", "--no-ask-password", "try-restart", UNIT],  # noqa: S607  # the system's own
            check=False, capture_output=True, text=True, timeout=SYSTEMCTL_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return _fail(str(error))
    if done.returncode:
        return _fail(" ".join(done.stderr.split()))
    return EX_OK


def _fail(reason: str) -> int:
    words = Words(
        f"无法重启 {UNIT}：{reason}。请用 sudo story-agent restart",
        f"{UNIT} is not restarted: {reason}; try: sudo story-agent restart",
    )
    print(f"story-agent: {say(words)}", file=sys.stderr)
    return EX_FAILED
