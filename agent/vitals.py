"""How the agent is, again and again: the line in ``systemctl status``, and counts for the metrics.

Both are made from what ``status`` tells. The line changes with the link, the story and the update, and is looked at
every POLL_SECONDS, so that nothing that flickers can flood systemd.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field

from wire.records import dataclass

POLL_SECONDS = 5.0
# Characters; systemd shows what fits on a terminal.
LINE_LIMIT = 200

Status = Callable[[], Awaitable[Mapping[str, object]]]


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    play_seconds: float = 0.0
    """Seconds of playing, to within POLL_SECONDS for each story."""
    utterances: Counter[str] = field(default_factory=Counter)
    """How listening ended, by `agent.voice.listener.End`'s values."""


def member(status: Mapping[str, object], *names: str) -> object:
    """Return a nested member, None if there is none."""
    value: object = status
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def status_line(status: Mapping[str, object]) -> str:
    """Return what ``systemctl status`` shows: no title, because that is the family's affair."""
    if isinstance(member(status, "setup"), Mapping):
        return f"waits for {member(status, 'setup', 'waits_for')}"
    state = member(status, "link", "state")
    parts = ["online" if state == "online" else f"offline ({state})"]
    if (play := member(status, "play", "state")) in {"playing", "paused"}:
        parts.append("plays" if play == "playing" else "paused")
    if (update := _update(status)) is not None:
        parts.append(update)
    if member(status, "trouble"):
        parts.append("trouble with the state folder")
    return "; ".join(parts)[:LINE_LIMIT]


def _update(status: Mapping[str, object]) -> str | None:
    update = member(status, "update", "state")
    version = member(status, "update", "version")
    if update in {"CREATED", "RUNNING"}:
        percent = member(status, "update", "percent")
        part = f" ({percent:.0%})" if isinstance(percent, int | float) else ""
        return f"updates to {version}{part}"
    return f"tries version {version}" if member(status, "update", "onTrial") else None


class Vitals:
    """Looks at the status; `run` it in the background."""

    def __init__(
        self,
        status: Status,
        notify: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look at ``status``, and tell systemd by ``notify``; ``clock``: monotonic seconds."""
        self._status = status
        self._notify = notify
        self._clock = clock
        self._line = ""
        self._looked_at = clock()
        self.counts = Counts()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(POLL_SECONDS)

    async def look(self) -> None:
        """Look once."""
        status = await self._status()
        now = self._clock()
        if member(status, "play", "state") == "playing":
            # A machine that slept has not played meanwhile.
            self.counts.play_seconds += min(now - self._looked_at, 2 * POLL_SECONDS)
        self._looked_at = now
        if (line := status_line(status)) != self._line:
            self._line = line
            self._notify(f"STATUS={line}")
