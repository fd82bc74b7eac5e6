"""uvicorn, set up to run in the event loop that it shares with the device gateway."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

# How long a shutdown waits for API requests; the whole shutdown must take less than 5 s.
GRACE_SECONDS = 2
HTTP_CONCURRENCY = 1000


class ApiServer(uvicorn.Server):
    """uvicorn in our event loop: sets ``accepting`` when it accepts, and leaves signals to us."""

    def __init__(self, app: ASGIApp, *, backlog: int) -> None:
        """Serve ``app``; ``backlog`` is the one of the socket."""
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=backlog,
                limit_concurrency=HTTP_CONCURRENCY,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.accepting = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting, then set ``accepting``."""
        await super().startup(sockets)
        self.accepting.set()
