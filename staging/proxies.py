"""Whose request it is when a proxy brings it: ``X-Forwarded-For`` is believed from trusted proxies alone.

The header's addresses are read from the right, where each proxy adds the one it got the request from; the first that is no
trusted proxy is the client. What stands left of it is whatever the client made up.
"""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # each command's help parses an option by this module
    from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Longer lists are no proxies' chains.
HOPS_LIMIT = 32


def parse_network(text: str) -> Network:
    """Return an address or a network; raises ArgumentTypeError, which names what was expected."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        expected = "an address or a network such as 10.0.0.0/8"
        raise argparse.ArgumentTypeError(f"got {text!r}, expected {expected}") from error


class TrustedProxies:
    """The proxies that say for whom they ask."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        """Trust these; none by default."""
        self._networks = tuple(networks)

    def trusts(self, address: str) -> bool:
        """Return whether ``address`` is a trusted proxy's."""
        if not self._networks:
            return False
        found = _parse(address)
        return found is not None and any(found in network for network in self._networks)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the client's address.

        Args:
            peer: the address of the connection's other end.
            forwarded: the values of the ``X-Forwarded-For`` headers, in their order.
        """
        if not self.trusts(peer):
            return peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        nearest = peer
        for hop in reversed(hops[-HOPS_LIMIT:]):
            found = _parse(_without_port(hop))
            if found is None:
                return nearest  # whoever wrote this is no proxy that can be trusted further
            nearest = str(found)
            if not self.trusts(nearest):
                return nearest
        return nearest


class Proxied:
    """The application behind it sees the client of a trusted proxy, and the scheme that it used."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        peer = scope.get("client")
        if scope["type"] == "http" and peer and self._proxies.trusts(peer[0]):
            scope = {
                **scope,
                "client": (self._proxies.client(peer[0], _values(scope, b"x-forwarded-for")), 0),
            }
            schemes = _values(scope, b"x-forwarded-proto")
            if schemes and schemes[-1].strip().lower() in {"http", "https"}:
                scope["scheme"] = schemes[-1].strip().lower()
        await self._app(scope, receive, send)


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _without_port(hop: str) -> str:
    """Return the address of ``1.2.3.4:5``, ``[::1]:5``, ``[::1]`` or an address alone."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
