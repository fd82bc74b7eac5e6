"""Announces the local API's HTTPS by mDNS (DNS-SD), so that a program at home finds the machine.

The name is the machine's host name; the certificate's fingerprint is told with it, the token and the
uuid are not. zeroconf is the extra [mdns]; without it, or without a network, the machine does the rest.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket

from machine.network import read_network

SERVICE = "_story-agent._tcp.local."
_EXTRA = "zeroconf is missing: pip install 'story-agent[mdns]', or set local.announce = false"

_log = logging.getLogger(__name__)


async def announce(port: int, fingerprint: str, address: str) -> None:
    """Announce until cancelled; what fails is logged, and the local API is served all the same.

    Args:
        port: where HTTPS is served.
        fingerprint: of the certificate, SHA-256 in hex.
        address: where HTTPS is served; an unspecified one: on every network.
    """
    try:
        # 17 ms and 3 MB that a machine without it does not take.
        from zeroconf import Error, InterfaceChoice  # noqa: PLC0415
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf  # noqa: PLC0415
    except ImportError:
        _log.error("local API: %s", _EXTRA)
        return
    everywhere = ipaddress.ip_address(address).is_unspecified
    own = (await asyncio.to_thread(read_network)).ip if everywhere else address
    if not own:
        _log.error("local API: not announced: this machine has no address yet")
        return
    name = socket.gethostname().partition(".")[0] or "story-machine"
    told = AsyncServiceInfo(
        SERVICE, f"{name}.{SERVICE}", parsed_addresses=[own], port=port,
        properties={"path": "/resource", "sha256": fingerprint}, server=f"{name}.local.",
    )  # fmt: skip
    try:
        made = AsyncZeroconf(interfaces=InterfaceChoice.All if everywhere else [own])
    except OSError as error:
        _log.error("local API: not announced: %s", error.strerror or error)
        return
    try:
        await (await made.async_register_service(told, allow_name_change=True))
        _log.info("local API: announced as %s", told.name)
        await asyncio.Event().wait()
    except (Error, OSError) as error:
        _log.error("local API: not announced: %s", str(error) or type(error).__name__)
    finally:
        await made.async_close()  # says goodbye, so that nobody asks for it any more
