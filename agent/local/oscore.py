"""CoAP with OSCORE on the home network: data points for the clients that have keys, nothing for others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from agent.local.clients import Clients
from agent.settings import LocalSettings
from transport.datagram import DatagramServer, Links, Site, Watch
from transport.flood import FloodGate
from transport.oscore import ClientContext, ProtectedSite
from transport.udp import bind_udp
from wire.exchange import Handler

# Seconds between two lines about packets that were not looked at.
TELL_SECONDS = 60.0

_log = logging.getLogger(__name__)


async def serve_oscore(
    local: LocalSettings,
    clients: Clients,
    handler: Handler,
    links: Links,
    watch: Watch,
    opened: Callable[[], None],
) -> None:
    """Serve until cancelled; ``opened`` is called when the port is open.

    Raises:
        TransportError: another program has the port.
    """
    bound = bind_udp(local.oscore_address, local.oscore_port)
    gate = FloodGate(time.monotonic())

    def proved(address: str, context: ClientContext) -> None:
        gate.know(address)
        clients.heard(context.recipient_id)

    site = ProtectedSite(Site(handler, links, watch), clients.find, proved)
    server = DatagramServer.serve(
        bound, site, lambda address: gate.admit(address, time.monotonic())
    )
    opened()
    _log.info("home network: CoAP with OSCORE on port %d", local.oscore_port)
    try:
        await _tell_floods(gate)
    finally:
        await server.shutdown()


async def _tell_floods(gate: FloodGate) -> None:
    told = 0
    while True:
        await asyncio.sleep(TELL_SECONDS)
        if gate.dropped > told:
            _log.warning(
                "home network: %d packets were not looked at in %.0f s: somebody sends too many",
                gate.dropped - told, TELL_SECONDS,
            )  # fmt: skip
            told = gate.dropped
