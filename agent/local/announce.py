"""Announces a port of the home network by mDNS (DNS-SD), so that a program at home finds the machine.

The name is the machine's host name, with the end of its network card's address: two machines of one
name are two hosts. The certificate's fingerprint is told, the token, keys and the uuid are not.
zeroconf is the extra [mdns]. Whoever runs `announce` begins it again when it fails.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping

from agent.local.names import host_label
from agent.local.sockets import LocalAccessError
from machine.network import NetworkInfo, read_network
from wire.records import dataclass

_EXTRA = "zeroconf is missing: pip install 'story-agent[mdns]', or set local.announce = false"
# Seconds; after a change of the network the machine is found again as soon.
LOOK_SECONDS = 15.0

_log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Service:
    """What is announced: its type, its port, and what is told about it."""

    kind: str
    port: int
    properties: Mapping[str, str]


async def announce(
    service: Service,
    address: str,
    look: Callable[[], NetworkInfo] = read_network,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Announce until cancelled, and anew when the machine's address changes.

    Args:
        service: what is served.
        address: where; an unspecified one: on every network.
        look: reads the network.
        sleep: waits some seconds.

    Raises:
        LocalAccessError: zeroconf is missing, or the network takes no announcement.
    """
    everywhere = ipaddress.ip_address(address).is_unspecified
    while True:
        now = await asyncio.to_thread(look)
        own = now.ip if everywhere else address
        if own:
            label = host_label(socket.gethostname(), now.mac)
            task = asyncio.create_task(_announce_at(service, own, label, everywhere=everywhere))
            try:
                await _until_changed(task, now, look, sleep)
            finally:
                task.cancel()
                await asyncio.wait([task])
        else:
            await sleep(LOOK_SECONDS)


async def _until_changed(
    task: asyncio.Task[None], before: NetworkInfo, look: Callable[[], NetworkInfo], sleep: Sleep
) -> None:
    """Return when the network is another one; raises what ends ``task``."""
    while True:
        waiting = asyncio.ensure_future(sleep(LOOK_SECONDS))
        try:
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if task.done():
            task.result()
        if (now := await asyncio.to_thread(look)) != before:
            _log.info("local API: the network has changed: %s", now.ip or "no address")
            return


def _interface(own: str) -> str | int:
    """Return an address as zeroconf takes it: a link-local one by its interface's number. Raises OSError."""
    zone = own.partition("%")[2]
    return socket.if_nametoindex(zone) if zone else own


async def _announce_at(service: Service, own: str, label: str, *, everywhere: bool) -> None:
    try:
        # 17 ms and 3 MB that a machine without it does not take.
        from zeroconf import Error, InterfaceChoice  # noqa: PLC0415
        from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf  # noqa: PLC0415
    except ImportError as error:
        raise LocalAccessError(_EXTRA) from error
    told = AsyncServiceInfo(
        service.kind, f"{label}.{service.kind}", parsed_addresses=[own.partition("%")[0]], port=service.port,
        properties=dict(service.properties), server=f"{label}.local.",
    )  # fmt: skip
    try:
        made = AsyncZeroconf(interfaces=InterfaceChoice.All if everywhere else [_interface(own)])
    except OSError as error:
        raise LocalAccessError(f"not announced: {error.strerror or error}") from error
    try:
        await (await made.async_register_service(told, allow_name_change=True))
        _log.info("local API: announced as %s at %s", told.name, own)
        await asyncio.Event().wait()
    except (Error, OSError) as error:
        raise LocalAccessError(f"not announced: {error or type(error).__name__}") from error
    finally:
        await made.async_close()  # says goodbye, so that nobody asks for it any more
