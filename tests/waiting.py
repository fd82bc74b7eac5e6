"""Waiting for what real sockets, threads and processes do, each time with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# Seconds; only turns a hang into a failure.
DEADLINE = 60.0


async def until(found: Callable[[], object]) -> None:
    """Wait until ``found`` returns something true."""
    async with asyncio.timeout(DEADLINE):
        while not found():
            await asyncio.sleep(0.001)
