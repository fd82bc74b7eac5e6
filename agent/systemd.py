"""What systemd hears of the agent (sd_notify(3)): ready, alive, ending."""

from __future__ import annotations

import asyncio
import os

import sdnotify

_MICROSECONDS = 1_000_000


class ServiceManager:
    """Talks to systemd if it started us, to nobody otherwise."""

    def __init__(self) -> None:
        """Find systemd's socket in the environment."""
        self._notifier = sdnotify.SystemdNotifier()

    def ready(self) -> None:
        """The agent serves locally; the cloud may still be away."""
        self._notifier.notify("READY=1")

    def stopping(self) -> None:
        """The agent ends in order."""
        self._notifier.notify("STOPPING=1")

    async def keep_watchdog_quiet(self) -> None:
        """Tell systemd at half its limit that the event loop runs, if it wants to know."""
        limit = os.environ.get("WATCHDOG_USEC", "")
        if not limit.isdigit() or int(limit) == 0:
            return
        while True:
            self._notifier.notify("WATCHDOG=1")
            await asyncio.sleep(int(limit) / _MICROSECONDS / 2)
