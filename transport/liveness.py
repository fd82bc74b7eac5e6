"""Finds out within half a minute that the other side of a quiet connection is gone (docs/adr/0033).

TCP alone notices nothing on a quiet link, and a write that nobody acknowledges fails after a quarter
of an hour. The system's probes find a dead network; they reach only the next TCP stack, which may be
a proxy's. So a peer that reads `wire.abilities.PING` is asked itself: an empty CON, answered by an
RST (RFC 7252 section 4.3), 12 bytes in a frame each.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from transport.connection import Connection

# Seconds without a byte from the other side after which it is asked, and then has to answer. Together
# under 30, so that an order is not sent to a machine that has been gone for longer.
QUIET_SECONDS = 20.0
PATIENCE_SECONDS = 7.0
# The same of a cloud: a machine that is there has asked before, and one question is enough for both.
CLOUD_QUIET_SECONDS = 21.0
# Seconds for an answer while somebody waits to know.
ANSWER_SECONDS = 3.0
# What came while this process was stopped is read first, after the timers that are due.
GRACE_SECONDS = 0.5

# For peers that read no pings: the same half minute by the system's means, seconds and counts.
# Later than our own question, whose answer makes these probes needless.
PROBE_IDLE = 22
PROBE_INTERVAL = 3
PROBES = 2
# Milliseconds that sent bytes may stay unacknowledged (tcp(7)).
USER_TIMEOUT_MS = 28_000

# The first two bytes of an empty CON and an empty RST without a token (RFC 7252 section 3).
_EMPTY_CON = b"\x40\0"
_EMPTY_RST = b"\x70\0"
_LENGTH = 4
_POLL_SECONDS = 0.05


def probe_by_system(handle: socket.socket | None) -> None:
    """Have the system find a dead network under a TCP connection; does nothing for others, nor for one that has ended."""
    if handle is None or handle.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    with contextlib.suppress(OSError):  # it was cut since its handshake: whoever reads it sees that
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            (socket.TCP_KEEPIDLE, PROBE_IDLE),
            (socket.TCP_KEEPINTVL, PROBE_INTERVAL),
            (socket.TCP_KEEPCNT, PROBES),
            (socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS),
        ):
            handle.setsockopt(socket.IPPROTO_TCP, option, value)


def is_ping(message: bytes) -> bool:
    """Return whether a message is an empty CON."""
    return len(message) == _LENGTH and message[:2] == _EMPTY_CON


def is_reset(message: bytes) -> bool:
    """Return whether a message is an empty RST: the answer to a ping, or to a request that the other side drops."""
    return len(message) == _LENGTH and message[:2] == _EMPTY_RST


def pong_to(ping: bytes) -> bytes:
    """Return the answer to a ping: an RST with its id."""
    return _EMPTY_RST + ping[2:]


async def ask(connection: Connection, next_id: Callable[[], int], patience: float) -> bool:
    """Ping the other side; return whether anything comes from it within ``patience`` seconds."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    connection.send(_EMPTY_CON + next_id().to_bytes(2, "big"))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while connection.heard_at <= asked and not connection.is_closing:  # noqa: ASYNC110
                # An event for each message of each connection would cost more than this rare wait.
                await asyncio.sleep(_POLL_SECONDS)
    return connection.heard_at > asked and not connection.is_closing


class Watch:
    """Asks one quiet peer whether it is there, and drops the connection if it does not answer."""

    def __init__(
        self,
        connection: Connection,
        next_id: Callable[[], int],
        quiet: float = QUIET_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Begin to watch; ``next_id`` returns a message id that is not in use. Times in seconds."""
        self._connection = connection
        self._next_id = next_id
        self._quiet = quiet
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._schedule(quiet, self._look)

    def _schedule(self, seconds: float, step: Callable[[], None]) -> None:
        self._timer = self._loop.call_later(seconds, step)

    def _look(self) -> None:
        if self._connection.is_closing:
            return
        rest = self._connection.heard_at + self._quiet - self._loop.time()
        if rest > 0:
            self._schedule(rest, self._look)
            return
        self._asked_at = self._loop.time()
        self._connection.send(_EMPTY_CON + self._next_id().to_bytes(2, "big"))
        self._schedule(self._patience, self._expect)

    def _expect(self) -> None:
        if self._connection.heard_at < self._asked_at:
            self._schedule(GRACE_SECONDS, self._conclude)
        else:
            self._look()

    def _conclude(self) -> None:
        if self._connection.heard_at >= self._asked_at:
            self._look()
        elif not self._connection.is_closing:
            silence = self._loop.time() - self._connection.heard_at
            self._connection.reset(f"silent for {silence:.0f} s, and does not answer a ping")

    def stop(self) -> None:
        """Ask no more."""
        self._timer.cancel()
