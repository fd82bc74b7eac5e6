"""The ports of the local API: each is opened as the settings say, and tried again while it cannot be.

What is served on one, and how many ask there, is nothing to the others; a port that another program
has is told in ``status`` and in the log, and the machine plays.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agent.contain import Containment
from agent.local.changes import Changes, link_format
from agent.local.coap import local_coap
from agent.local.sockets import LocalAccessError, ServerOnDemand, loopback_socket
from agent.settings import LocalSettings
from wire.exchange import Handler
from wire.records import dataclass

if TYPE_CHECKING:
    from agent.local.clients import Clients
    from agent.local.lan import Identity
    from agent.local.server import LocalServer

MakeServer = Callable[[str, tuple[Path, Path] | None], "LocalServer"]
"""Makes a server for a token ("": nobody has it) and the files of a certificate and its key."""

# DNS-SD's types of what is announced (`agent.local.announce`).
HTTPS, COAP = "_story-agent._tcp.local.", "_coap._udp.local."
# Seconds that the agent's start waits for a port; a card may take its time.
OPEN_SECONDS = 10.0
# Seconds for what is being answered when the agent ends; the server itself takes 2 s at most.
END_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rooms:
    """What is behind the doors: the HTTP server, the handler of CoAP, the names and changes of data points."""

    make_server: MakeServer
    handler: Handler
    names: Callable[[], Iterable[str]]
    changes: Changes
    clients: Clients | None

    def links(self, query: tuple[str, ...]) -> bytes:
        """Return what is here (RFC 6690); raises WireError."""
        return link_format(self.names(), query)


class Doors:
    """The agent's Unix socket, and the ports that the settings name."""

    def __init__(
        self,
        local: LocalSettings,
        state: Path,
        rooms: Rooms,
        contained: Containment,
        bound: socket.socket | None = None,
    ) -> None:
        """Open nothing before `open`; failures go to ``contained``, ``bound`` is the agent's Unix socket."""
        self._bound = bound
        self._local = local
        self._state = state
        self._rooms = rooms
        self._contained = contained
        self._servers: dict[str, ServerOnDemand] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._making = asyncio.Lock()
        self._tried: dict[str, asyncio.Event] = {}

    async def open(self, group: asyncio.TaskGroup) -> None:
        """Serve the ports, as tasks of ``group``; returns when each is open or could not be opened."""
        local = self._local
        works: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "local.http_port": (local.http_port, self._http),
            "local.https_port": (local.https_port, self._https),
            "local.coap_port": (local.coap_port, self._coap),
            "local.oscore_port": (local.oscore_port, self._oscore),
        }
        if self._bound is not None:
            works["socket"] = (1, functools.partial(self._socket, self._bound))
        for name, (port, work) in works.items():
            if port:
                self._tried[name] = asyncio.Event()
                self._tasks[name] = group.create_task(
                    self._contained.run(name, self._try(name, work))
                )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                for tried in self._tried.values():
                    await tried.wait()

    def _try(self, name: str, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def tried() -> None:
            try:
                await work()
            finally:
                self._tried[name].set()

        return tried

    def _is_open(self, name: str) -> None:
        self._contained.goes_on(name)
        self._tried[name].set()

    async def close(self) -> None:
        """Close all ports: what is being answered has a short time left."""
        for name, task in self._tasks.items():
            if (server := self._servers.get(name)) is not None:
                server.stop()
            else:
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=END_SECONDS)
            for task in late:
                task.cancel()

    async def _socket(self, bound: socket.socket) -> None:
        server = ServerOnDemand(functools.partial(self._rooms.make_server, "", None))
        self._servers["socket"] = server
        try:
            await server.serve([bound], lambda: self._is_open("socket"))
        finally:
            del self._servers["socket"]

    async def _http(self) -> None:
        """Serve HTTP on 127.0.0.1; a state folder that takes no token leaves it without one."""
        bound = loopback_socket(self._local.http_port)
        try:
            token = await self._token()
        except LocalAccessError as error:
            _log.error("local.http_port: nobody has a token: %s", error)
            token = ""
        await self._serve("local.http_port", bound, token)

    async def _https(self) -> None:
        from agent.local.lan import lan_socket, load_identity  # noqa: PLC0415  # off by default
        from transport.tls_socket import limit_buffers  # noqa: PLC0415

        local = self._local
        token = await self._token()
        identity = await asyncio.to_thread(load_identity, self._state)
        limit_buffers()
        bound = lan_socket(local.https_address, local.https_port)
        _log.info(
            "local API: https on port %d, certificate SHA-256 %s",
            local.https_port, identity.fingerprint,
        )  # fmt: skip
        told = {"path": "/resource", "sha256": identity.fingerprint}
        async with self._announced(HTTPS, local.https_port, local.https_address, told):
            await self._serve("local.https_port", bound, token, identity)

    async def _token(self) -> str:
        """Return the one token of all ports; raises LocalAccessError."""
        from agent.local.lan import load_token  # noqa: PLC0415  # off by default

        async with self._making:  # two that make one at once would hold different ones
            return await asyncio.to_thread(load_token, self._state)

    @contextlib.asynccontextmanager
    async def _announced(
        self, kind: str, port: int, address: str, told: Mapping[str, str]
    ) -> AsyncIterator[None]:
        """Announce a port while the context is open, if that is wanted."""
        if not self._local.announce:
            yield
            return
        from agent.local.announce import Service, announce  # noqa: PLC0415  # off by default

        work = functools.partial(announce, Service(kind, port, told), address)
        task = asyncio.create_task(self._contained.run(f"local.announce of {kind}", work))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _serve(
        self, name: str, bound: socket.socket, token: str, identity: Identity | None = None
    ) -> None:
        files = None if identity is None else (identity.certificate, identity.key)
        make = functools.partial(self._rooms.make_server, token, files)
        server = self._servers[name] = ServerOnDemand(make)
        with bound:
            try:
                await server.serve([bound], lambda: self._is_open(name))
            finally:
                del self._servers[name]

    async def _coap(self) -> None:
        rooms = self._rooms
        served = local_coap(
            rooms.handler, self._local.coap_port, links=rooms.links, watch=rooms.changes.watch
        )
        async with served:
            self._is_open("local.coap_port")
            await asyncio.Event().wait()

    async def _oscore(self) -> None:
        from agent.local.clients import EXTRA  # noqa: PLC0415  # off by default

        rooms, clients = self._rooms, self._rooms.clients
        assert clients is not None  # noqa: S101  # for mypy: the port is on
        await clients.load()
        try:
            from agent.local.oscore import serve_oscore  # noqa: PLC0415  # off by default
        except ImportError as error:
            raise LocalAccessError(f"local.oscore_port: {EXTRA}") from error
        local, told = self._local, {"path": "/.well-known/core"}
        async with self._announced(COAP, local.oscore_port, local.oscore_address, told):
            await serve_oscore(
                local, clients, rooms.handler, rooms.links, rooms.changes.watch,
                lambda: self._is_open("local.oscore_port"),
            )  # fmt: skip
