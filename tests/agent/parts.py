"""Helpers that the agent's tests share: a scripted cloud, a profile."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from transport.connection import Connection
from transport.framed import FramedEndpoint
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.fields import parse_object
from wire.profile import Profile
from wire.reports import REGISTER_PATH, parse_report

UUID = "0083000000000a"
TOKEN = "device-token-of-the-test-4711"
BIND_TOKEN = "6dd5790b2163a0132e6c65c6dd6f9ef2"
# Only turns a hang into a failure.
DEADLINE = 60.0


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition`` holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # the condition has no event to wait for
            await asyncio.sleep(0.005)


def make_profile(port: int, ca_pem: str, **changes: Any) -> Profile:
    fields: dict[str, Any] = {
        "uuid": UUID,
        "token": TOKEN,
        "bind_token": BIND_TOKEN,
        "server_addr": "127.0.0.1",
        "coap_port": port,
        "lwm2m_port": 0,
        "rsa_ca_crt": ca_pem,
        "configures": {},
        "mac_id": "",
        "version": 1,
    }
    return Profile(**(fields | changes))


def accept(request: Request) -> Answer:
    """Accept a registration with 2.05 and a report with 2.04."""
    return Answer(Code.CONTENT if request.path == REGISTER_PATH else Code.CHANGED)


class Cloud:
    """A TLS server for framed CoAP; ``answer`` is the script."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self.answer: Callable[[Request], Answer | Awaitable[Answer]] = accept
        self.port = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self.endpoint: FramedEndpoint | None = None

    @property
    def reports(self) -> list[dict[str, object]]:
        """The received ``data`` objects, in order."""
        return [parse_report(r.payload) for r in self.requests if r.path != REGISTER_PATH]

    @property
    def registrations(self) -> list[dict[str, object]]:
        return [
            parse_object(r.payload, "registration")
            for r in self.requests
            if r.path == REGISTER_PATH
        ]

    async def start(self) -> None:
        self.endpoint = await FramedEndpoint.create()
        self._server = await asyncio.start_server(
            self._carry, "127.0.0.1", self.port, ssl=self._context
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and all connections, as when the cloud restarts."""
        if self._server is None or self.endpoint is None:
            return
        self._server.close()
        for connection in self.connections:
            connection.abort()
        await self.endpoint.shutdown()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server = None

    async def ask(self, method: str, name: str, payload: bytes = b"", *query: str) -> Answer:
        """Send the device a request on its newest connection."""
        assert self.endpoint
        path = tuple(name.split("/"))
        return await self.endpoint.request(
            self.connections[-1], method, path, payload, query=query, deadline=DEADLINE
        )

    async def _handle(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self.answer(request)
        return answer if isinstance(answer, Answer) else await answer

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self.endpoint
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        connection = Connection(reader, writer)
        self.connections.append(connection)
        await self.endpoint.serve(connection, self._handle)
