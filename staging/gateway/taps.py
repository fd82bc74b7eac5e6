"""What looks at devices' connections or acts on them beside the gateway: the fault bench and the wire log.

Each is a function that does nothing by default, so that a gateway without them has their cost not either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from transport.connection import Connection


def _as_it_is(transport: asyncio.Transport) -> asyncio.Transport:
    return transport


def _opened(_connection: Connection) -> None:
    return


def _claimed(_uuid: str, _connection: Connection) -> None:
    return


def _ended(_connection: Connection, _reason: str) -> None:
    return


def _right(_uuid: str) -> int:
    return 0


@dataclass(slots=True)
class Taps:
    """The functions; all are called in the event loop and must not block.

    Attributes:
        dress: returns the transport to use in place of a new connection's plain one, below TLS.
        opened: is told of a connection whose handshake is done.
        claimed: is told whose a connection is, as soon as its token has proven that, before the answer.
        ended: is told of a connection's end, and why.
        told_time_ms: returns by how much the time is wrong that a device is told, in milliseconds.
    """

    dress: Callable[[asyncio.Transport], asyncio.Transport] = _as_it_is
    opened: Callable[[Connection], None] = _opened
    claimed: Callable[[str, Connection], None] = _claimed
    ended: Callable[[Connection, str], None] = _ended
    told_time_ms: Callable[[str], int] = _right
