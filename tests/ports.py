"""Port numbers for programs that open them by number."""

from __future__ import annotations

import contextlib
import random
import socket

# Below those that the kernel gives to connections (ip_local_port_range): none is taken between the look and the use.
FIRST, LAST = 10_240, 32_000
TRIES = 1000
_CHANCE = random.SystemRandom()


def free_port() -> int:
    """Return a number of 127.0.0.1 that is free for TCP and UDP now."""
    for _ in range(TRIES):
        number = _CHANCE.randint(FIRST, LAST)
        with contextlib.suppress(OSError), socket.socket() as tcp:
            tcp.bind(("127.0.0.1", number))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.bind(("127.0.0.1", number))
                return number
    raise OSError(f"no free port in {TRIES} tries")
