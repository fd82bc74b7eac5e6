"""CoAP over UDP for local programs, on loopback addresses only; `agent.local.oscore` serves the home network."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from transport.errors import TransportError
from wire.exchange import Handler

if TYPE_CHECKING:
    from transport.datagram import Links, Watch

HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def local_coap(
    handler: Handler,
    port: int,
    host: str = HOST,
    *,
    links: Links | None = None,
    watch: Watch | None = None,
) -> AsyncIterator[None]:
    """Serve ``handler`` on a loopback address while the context is open; not at all on port 0.

    ``links`` and ``watch`` are those of `transport.datagram.DatagramServer.create`.

    Raises:
        TransportError: the address is in use, or not loopback.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise TransportError(f"CoAP on {host}: got a LAN address, expected a loopback address")
    if not port:
        yield
        return
    from transport.datagram import DatagramServer  # noqa: PLC0415  # brings aiocoap, for few machines

    server = await DatagramServer.create(handler, host, port, links=links, watch=watch)
    try:
        yield
    finally:
        await server.shutdown()
