"""Leads a device's connections to the advisor (`staging.advise`), by the address that they come from, for as long as it renews this.

Whose connection it is, is known only after TLS, which is what the advisor must do itself; so it is the address that is led away, and
only where no other device is at it. A device of its own address is back as soon as the advisor ends, or has not renewed for half a minute.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from base.tasks import ended
from staging.crowd import network_of
from staging.errors import StagingError
from staging.gateway.session import Sessions
from staging.times import Monotonic
from transport.connection import Connection

# Seconds that a diversion lasts without being renewed.
LEASE_SECONDS = 30.0
# Connections of one address on their way to the advisor.
RELAYS_LIMIT = 16
CONNECT_SECONDS = 5.0
READ_SIZE = 16 * 1024
LOOPBACK = "127.0.0.1"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Diversion:
    uuid: str
    port: int
    until: float


class Diversions:
    """Which addresses are led where, and the connections under way."""

    def __init__(self, sessions: Sessions, monotonic: Monotonic = time.monotonic) -> None:
        """Start with none; ``monotonic`` counts seconds."""
        self._sessions, self._monotonic = sessions, monotonic
        self._led: dict[str, _Diversion] = {}
        self._relays: dict[asyncio.Task[None], str] = {}

    def lead(self, uuid: str, port: int) -> Mapping[str, object]:
        """Lead a device's connections to a port of loopback; port 0 ends it. A repeat renews it.

        Raises:
            StagingError: the device is offline, behind a broker, not alone at its address, or led to another port.
        """
        found = next((net for net, each in self._led.items() if each.uuid == uuid), None)
        if found is not None and self._monotonic() > self._led[found].until:
            self._end(found)
            found = None
        if port == 0:
            if found is not None:
                self._end(found)
            return {"address": found or ""}
        if found is not None and self._led[found].port != port:
            text = "another run of the advisor has it: wait for its end, or cancel it"
            raise StagingError(f"device {uuid}: {text}; one that was killed loses it within 30 s")
        if found is None:
            found = self._address_of(uuid)
            _log.info("device %s: its connections are led to the advisor", uuid)
        self._led[found] = _Diversion(uuid, port, self._monotonic() + LEASE_SECONDS)
        session = self._sessions.find(uuid)
        if session is not None:
            session.connection.close("led to the advisor")
        return {"address": found}

    def _address_of(self, uuid: str) -> str:
        session = self._sessions.find(uuid)
        if session is None:
            raise StagingError(
                f"device {uuid} is offline: switch it on first, or lead it by --port"
            )
        address = _network(session.connection)
        if not address:
            raise StagingError(
                f"device {uuid} is behind a broker: lead it by --port (docs/advisor.md)"
            )
        others = [
            each.identity.uuid for each in self._sessions.by_uuid.values()
            if each is not session and _network(each.connection) == address
        ]  # fmt: skip
        if others:
            text = f"{', '.join(others[:3])} and it are at {address}: lead it by --port instead"
            raise StagingError(f"device {uuid} is not alone at its address: {text}")
        return address

    def port_for(self, address: str) -> int:
        """Return the port to which connections of an address are led; 0: none."""
        if not self._led:
            return 0
        network = network_of(address)
        found = self._led.get(network)
        if found is None:
            return 0
        if self._monotonic() > found.until:
            self._end(network)
            return 0
        return found.port

    def _end(self, network: str) -> None:
        led = self._led.pop(network)
        _log.info("device %s: the advisor has ended", led.uuid)
        for task, of in self._relays.items():
            if of == network:
                task.cancel()

    async def carry(self, sock: socket.socket, address: str, port: int) -> None:
        """Carry a connection to the advisor and back, until either side ends it; closes it."""
        network = network_of(address)
        if sum(each == network for each in self._relays.values()) >= RELAYS_LIMIT:
            sock.close()
            return
        task = asyncio.ensure_future(_relay(sock, port))
        self._relays[task] = network
        try:
            await asyncio.wait([task])
            if not task.cancelled():  # as by `_end`
                task.result()
        except ConnectionRefusedError:
            # It was killed, and gave nothing back.
            if (led := self._led.get(network)) is not None and led.port == port:
                self._end(network)
        finally:
            del self._relays[task]
            await ended(task)


def _network(connection: object) -> str:
    if not isinstance(connection, Connection):
        return ""
    name = connection.get_extra_info("peername")
    return network_of(str(name[0])) if isinstance(name, tuple) else ""


async def _relay(near: socket.socket, port: int) -> None:
    loop = asyncio.get_running_loop()
    far = socket.socket()
    far.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.sock_connect(far, (LOOPBACK, port))
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = [asyncio.ensure_future(_pass(near, far)), asyncio.ensure_future(_pass(far, near))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    except ConnectionRefusedError:
        raise
    except (OSError, TimeoutError) as error:
        _log.info("the advisor is not there: %s", error or "no answer")
    finally:
        near.close()
        far.close()


async def _pass(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, READ_SIZE):
        await loop.sock_sendall(target, data)
