"""Notifications to systemd (sd_notify(3)): ready, watchdog, stopping."""

from __future__ import annotations

import asyncio
import os

import sdnotify

_MICROSECONDS = 1_000_000


class ServiceManager:
    """Notifies systemd if it started the agent, otherwise does nothing."""

    def __init__(self) -> None:
        """Take systemd's socket from the environment."""
        self._notifier = sdnotify.SystemdNotifier()

    def ready(self) -> None:
        """Report that the agent serves locally; the link to the cloud may still be down."""
        self._notifier.notify("READY=1")

    def stopping(self) -> None:
        """Report that the agent is stopping."""
        self._notifier.notify("STOPPING=1")

    async def feed_watchdog(self) -> None:
        """Notify systemd's watchdog, if enabled, at half its interval while the event loop runs."""
        limit = os.environ.get("WATCHDOG_USEC", "")
        if not limit.isdigit() or int(limit) == 0:
            return
        while True:
            self._notifier.notify("WATCHDOG=1")
            await asyncio.sleep(int(limit) / _MICROSECONDS / 2)
