"""Port numbers for programs that open them by number: no two processes of tests are given the same."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
from collections.abc import Iterator

# Below those that the kernel gives to connections (ip_local_port_range): none is taken between the look and the use.
FIRST, LAST, BLOCK = 10_240, 32_000, 64
TRIES = 1000


class _Block:
    """Numbers that are this process's own until it ends: their name is bound, of which there is one on a machine."""

    def __init__(self) -> None:
        """Take one that no other process has."""
        self._name = socket.socket(socket.AF_UNIX)
        starts = list(range(FIRST, LAST - BLOCK, BLOCK))
        random.SystemRandom().shuffle(starts)
        for first in starts:
            with contextlib.suppress(OSError):
                self._name.bind(f"\0story-test-ports-{first}")
                self.numbers: Iterator[int] = itertools.cycle(range(first, first + BLOCK))
                return
        raise OSError(f"all {len(starts)} blocks of ports are taken by other tests")


_BLOCK = _Block()


def free_port() -> int:
    """Return a number of 127.0.0.1 that is free for TCP and UDP now, and that no other test is given."""
    for number in itertools.islice(_BLOCK.numbers, TRIES):
        with contextlib.suppress(OSError), socket.socket() as tcp:
            tcp.bind(("127.0.0.1", number))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.bind(("127.0.0.1", number))
                return number
    raise OSError(f"no free port in {TRIES} tries")
