"""The agent's event loop: asyncio's, with name look-ups that cannot delay the agent's exit.

getaddrinfo(3) waits up to half a minute for a dead name server and cannot be interrupted. asyncio
runs it in threads that it joins at exit; this loop uses daemon threads, which are not joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from transport.dial import plain_name


class AgentLoop(asyncio.SelectorEventLoop):
    """Looks up names in daemon threads; the link's back-off limits their number."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> list[Any]:
        """Resolve as socket.getaddrinfo does; raises OSError."""
        found: asyncio.Future[list[Any]] = self.create_future()

        def settle(result: list[Any] | OSError) -> None:
            if found.done():
                return  # the caller has given up
            if isinstance(result, OSError):
                found.set_exception(result)
            else:
                found.set_result(result)

        def look_up() -> None:
            try:
                name = plain_name(host) if isinstance(host, str) else host
                result: list[Any] | OSError = socket.getaddrinfo(name, port, **hints)
            except OSError as error:
                result = error
            except UnicodeError:
                result = socket.gaierror(socket.EAI_NONAME, f"{host}: no host name")
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.call_soon_threadsafe(settle, result)

        threading.Thread(target=look_up, name="getaddrinfo", daemon=True).start()
        return await found
