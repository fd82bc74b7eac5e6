"""The agent as a service: started and stopped through systemctl, and watched over its socket until it is registered."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.local.client import AgentUnreachableError, LocalClient
from agent.state import socket_to_ask
from agent.words import Words
from agent.words.causes import explain
from agent.words.remedies import remedy_of

UNIT = "story-agent.service"
# Longer than a stop that lets a request end (TimeoutStopSec=10).
SYSTEMCTL_SECONDS = 40.0
STATUS_SECONDS = 5.0
POLL_SECONDS = 0.5


class UnitError(Exception):
    """systemd refuses; the message is its last line."""


class Service:
    """The agent's unit; on a machine without systemd or without the unit there is none."""

    def __init__(self, run: Callable[..., Any] = subprocess.run, root: Path = Path("/")) -> None:
        """Call ``run`` as subprocess.run; look for systemd below ``root``."""
        self._run = run
        self._root = root

    def exists(self) -> bool:
        """Return whether systemd runs here and knows the unit."""
        if not (self._root / "run/systemd/system").is_dir() or not shutil.which("systemctl"):
            return False
        return self._call("cat", check=False) == 0

    def is_active(self) -> bool:
        """Return whether the unit runs."""
        return self._call("is-active", check=False) == 0

    def start(self) -> None:
        """Start the unit, anew if it runs, and at each boot; raises UnitError."""
        self._call("enable")
        self._call("reset-failed", check=False)
        self._call("restart")

    def stop(self) -> None:
        """Stop the unit; raises UnitError."""
        self._call("stop")

    def _call(self, verb: str, *, check: bool = True) -> int:
        try:
            done = self._run(
                ["systemctl", "--quiet", verb, UNIT],
                capture_output=True, text=True, timeout=SYSTEMCTL_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise UnitError(f"systemctl {verb}: {error}") from error
        if check and done.returncode != 0:
            lines = (done.stderr or "").strip().splitlines() or [f"exit code {done.returncode}"]
            raise UnitError(f"systemctl {verb}: {lines[0]}")
        return int(done.returncode)


def ask_status(state: Path) -> Mapping[str, Any] | None:
    """Return what the running agent says of itself; None if none answers."""
    try:
        answer = LocalClient(socket_to_ask(state), STATUS_SECONDS).request("GET", "/status")
        found = json.loads(answer.body) if answer.status == 200 else None
    except (AgentUnreachableError, ValueError, OSError):
        return None
    return found if isinstance(found, dict) else None


def link_of(status: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the status' link, empty if it has none."""
    link = (status or {}).get("link")
    return link if isinstance(link, dict) else {}


def is_registered(status: Mapping[str, Any] | None, uuid: str) -> bool:
    """Return whether it is this device that the cloud has registered."""
    return (
        status is not None
        and status.get("uuid") == uuid
        and link_of(status).get("state") == "online"
    )


def wait_until_registered(
    state: Path,
    uuid: str,
    seconds: float,
    ask: Callable[[Path], Mapping[str, Any] | None] = ask_status,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[bool, Mapping[str, Any] | None]:
    """Ask until the device is registered or ``seconds`` are over; return whether, and the last answer."""
    end = clock() + seconds
    while True:
        status = ask(state)
        if is_registered(status, uuid):
            return True, status
        if clock() >= end:
            return False, status
        sleep(POLL_SECONDS)


def why_not(status: Mapping[str, Any] | None, uuid: str, seconds: float) -> tuple[Words, Words]:
    """Return cause and remedy of a device that is not registered in time."""
    if status is None:
        return (
            Words("代理没有回答", "no agent answers"),
            Words("systemctl status story-agent；journalctl -u story-agent", "systemctl status story-agent; journalctl -u story-agent"),
        )  # fmt: skip
    setup, link = status.get("setup"), link_of(status)
    if isinstance(setup, dict):
        return Words(**setup["cause"]), Words(**setup["remedy"])
    if status.get("uuid") != uuid:
        found = status.get("uuid")
        return (
            Words(f"运行的代理是另一台设备 {found}", f"the agent that runs is another device, {found}"),
            Words("停掉它，再试一次", "stop it, and try again"),
        )  # fmt: skip
    error = explain(str(link.get("last_error") or link.get("meaning") or "?"))
    remedy = str(link.get("remedy") or "")
    shown = f"{seconds:g}"
    return (
        Words(f"{shown} 秒内没有连上云 {link.get('server')}：{error.zh}", f"not registered with {link.get('server')} in {shown} s: {error.en}"),
        remedy_of(remedy) if remedy else Words("运行 story-agent doctor", "run story-agent doctor"),
    )  # fmt: skip
