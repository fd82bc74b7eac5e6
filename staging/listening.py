"""The server's listening sockets, and the addresses under which others reach them."""

from __future__ import annotations

import argparse
import ipaddress
import socket
from collections.abc import Sequence

from staging.data_dir import Endpoints
from staging.errors import StagingError
from wire.profile import HOST_LENGTH_MAX, HOST_PATTERN

BACKLOG = 512


def listen(host: str, port: int, option: str) -> socket.socket:
    """Return a listening socket; raises StagingError that names the option and the port."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio disables Nagle's algorithm only if the protocol is given.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise StagingError(f"--listen {host}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise StagingError(f"{option} {port}: cannot listen on {host}: {error.strerror}") from error
    return sock


def public_host(text: str) -> str:
    """Return a name or an address as a certificate has it; raises ArgumentTypeError."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        name = bare.removesuffix(".").lower()
        if HOST_PATTERN.fullmatch(name) and len(name) <= HOST_LENGTH_MAX:
            return name
    else:
        if not address.is_unspecified:
            return str(address)
    expected = "a host name, or an address that others can reach"
    raise argparse.ArgumentTypeError(f"got {text!r}, expected {expected}")


def names_of(host: str, public: Sequence[str]) -> tuple[str, ...]:
    """Return the names for the certificate, the announced one first."""
    return tuple(dict.fromkeys((*public, advertised(host))))


def endpoints(
    shown: str, api: socket.socket, device: socket.socket, *, secure: bool = False
) -> Endpoints:
    """Return the addresses under which apps and devices find two listening sockets on the host ``shown``."""
    return Endpoints(
        api=api_url(shown, api, secure=secure),
        device_host=shown,
        device_port=device.getsockname()[1],
    )


def api_url(shown: str, api: socket.socket, *, secure: bool) -> str:
    """Return the API's URL on the host ``shown``."""
    url_host = f"[{shown}]" if ":" in shown else shown
    return f"{'https' if secure else 'http'}://{url_host}:{api.getsockname()[1]}"


def advertised(host: str) -> str:
    """Return the host to advertise; for a wildcard address this machine's own."""
    try:
        wildcard = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host
    if not wildcard:
        return host
    family, probe = (
        (socket.AF_INET6, "2001:db8::1") if ":" in host else (socket.AF_INET, "192.0.2.1")
    )
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((probe, 9))  # sends nothing; only selects the source address
        except OSError:
            return "localhost"
        return str(sock.getsockname()[0])
