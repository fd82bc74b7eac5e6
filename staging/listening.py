"""The server's listening sockets, and the addresses under which others reach them."""

from __future__ import annotations

import ipaddress
import socket

from staging.data_dir import Endpoints
from staging.errors import StagingError

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
        raise StagingError(f"--host {host}: {error.strerror}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise StagingError(f"{option} {port}: cannot listen on {host}: {error.strerror}") from error
    return sock


def endpoints(host: str, api: socket.socket, device: socket.socket) -> Endpoints:
    """Return the addresses that apps and devices connect to, from the two listening sockets."""
    shown = advertised(host)
    url_host = f"[{shown}]" if ":" in shown else shown
    return Endpoints(
        api=f"http://{url_host}:{api.getsockname()[1]}",
        device_host=shown,
        device_port=device.getsockname()[1],
    )


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
