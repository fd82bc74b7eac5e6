"""Connects to a host of several addresses, some of which may be dead (RFC 8305, "Happy Eyeballs").

Each address is tried a quarter of a second after the one before, or at once when that one fails; the
first that answers is taken. One dead family or server then costs a quarter of a second, not a timeout.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import socket
from collections.abc import Sequence
from typing import Any

from wire.records import dataclass

# Seconds until the next address is tried beside the one that does not answer (RFC 8305 section 5).
NEXT_ADDRESS_DELAY = 0.25
# Of a name; a resolver may return any number.
ADDRESSES_LIMIT = 16


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a host: its family, and what the system connects to."""

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        """Return address and port as a URL has them."""
        return show_server(self.sockaddr[0], self.sockaddr[1])


def show_server(host: str, port: int) -> str:
    """Return host and port as a URL has them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_address(host: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """Return an IP address of this machine as `socket.bind` takes it: a link-local one has its interface's number.

    Python's own way drops the interface of "fe80::1%eth0". Raises OSError if there is no such interface.
    """
    address, _, zone = host.partition("%")
    if not zone:
        return host, port
    return address, port, 0, int(zone) if zone.isdecimal() else socket.if_nametoindex(zone)


def name_for_tls(host: str) -> str:
    """Return the name that a certificate must match: without the dot of an absolute name."""
    return host.removesuffix(".")


def plain_name(host: str) -> str | bytes:
    """Return a host's name as Python takes it without IDNA: its tables are 0.3 MB, and change no ASCII name."""
    return host.encode("ascii") if host.isascii() else host


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, the families in turn; raises socket.gaierror."""
    look_up = functools.partial(asyncio.get_running_loop().getaddrinfo, type=socket.SOCK_STREAM)
    try:
        found = await look_up(host, port)
    except socket.gaierror:
        if not host.endswith("."):
            raise
        found = await look_up(name_for_tls(host), port)  # /etc/hosts has names without the dot
    addresses = list(dict.fromkeys(Address(family, sockaddr) for family, *_, sockaddr in found))
    return in_turn(addresses)[:ADDRESSES_LIMIT]


def in_turn(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses with the families in turn, each in its order (RFC 8305 section 4)."""
    families = dict.fromkeys(address.family for address in addresses)
    columns = [[a for a in addresses if a.family == family] for family in families]
    rows = itertools.zip_longest(*columns)
    return [address for row in rows for address in row if address is not None]


async def connect(
    addresses: Sequence[Address], delay: float = NEXT_ADDRESS_DELAY
) -> tuple[socket.socket, Address]:
    """Return a connected, non-blocking socket and its address; the caller sets the deadline.

    Raises:
        OSError: every address failed; the text has the reason of each.
    """
    waiting, errors = list(addresses), list[str]()
    trying: dict[asyncio.Task[socket.socket], Address] = {}
    try:
        while waiting or trying:
            if waiting:
                address = waiting.pop(0)
                trying[asyncio.create_task(_open(address))] = address
            done, _ = await asyncio.wait(
                trying, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                address = trying.pop(task)
                if (error := task.exception()) is None:
                    return task.result(), address
                errors.append(f"{address}: {_words(error)}")
    finally:
        _drop(trying)
    raise OSError("; ".join(errors) or "the host has no address")


async def _open(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _words(error: BaseException) -> str:
    # asyncio's own text for a failed connection does not say why it failed.
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__


def _drop(trying: dict[asyncio.Task[socket.socket], Address]) -> None:
    """Break off the other tries, and close those that came through in the same moment.

    Nothing is awaited: a cancellation of the caller would find the connection that was made, and nobody to close it.
    """
    for task in trying:
        task.cancel()
        task.add_done_callback(_close)


def _close(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
