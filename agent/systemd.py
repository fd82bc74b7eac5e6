"""Notifications to systemd (sd_notify(3)): ready, watchdog, stopping.

The protocol is one datagram of ``NAME=value`` lines to the socket that NOTIFY_SOCKET names, so no
library is needed: sdnotify has no wheel, which a Debian package is made of (docs/adr/0040).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

_MICROSECONDS = 1_000_000


class ServiceManager:
    """Notifies systemd if it started the agent, otherwise does nothing."""

    def __init__(self) -> None:
        """Take systemd's socket from the environment."""
        self._socket = _connect(os.environ.get("NOTIFY_SOCKET", ""))

    def notify(self, state: str) -> None:
        """Send ``NAME=value`` lines; never waits and never raises, because nothing depends on it."""
        if self._socket is not None:
            # A full queue, or a service manager that has restarted: the next one arrives.
            with contextlib.suppress(OSError):
                self._socket.send(state.encode())

    def ready(self) -> None:
        """Report that the agent serves locally; the link to the cloud may still be down."""
        self.notify("READY=1")

    def stopping(self) -> None:
        """Report that the agent is stopping."""
        self.notify("STOPPING=1")

    async def feed_watchdog(self) -> None:
        """Notify systemd's watchdog, if enabled, at half its interval while the event loop runs."""
        limit = os.environ.get("WATCHDOG_USEC", "")
        if not limit.isdigit() or int(limit) == 0:
            return
        while True:
            self.notify("WATCHDOG=1")
            await asyncio.sleep(int(limit) / _MICROSECONDS / 2)


def _connect(address: str) -> socket.socket | None:
    """Return a socket to ``address``, where "@" begins an abstract name; None: there is no service manager."""
    if not address:
        return None
    link = socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )
    try:
        link.connect("\0" + address[1:] if address.startswith("@") else address)
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        link.close()
        return None
    return link
