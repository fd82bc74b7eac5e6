"""A machine's OSCORE on loopback, and a real aiocoap client of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiocoap

from agent.local.changes import Changes, link_format
from agent.local.clients import Clients
from agent.settings import LocalSettings
from tests.agent.local.rig import Bench
from tests.agent.parts import DEADLINE
from tests.ports import free_port
from wire.exchange import Answer
from wire.lan_keys import Keys


class Served:
    """What is served, and where."""

    def __init__(self, bench: Bench, clients: Clients, port: int) -> None:
        self.bench = bench
        self.clients = clients
        self.changes = Changes()
        self.base = f"coap://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def serving_oscore(state: Path, bench: Bench | None = None) -> AsyncIterator[Served]:
    """Serve ``bench`` by OSCORE on a free port of loopback."""
    from agent.local.oscore import serve_oscore

    local = LocalSettings(oscore_port=free_port(), oscore_address="127.0.0.1")
    made = Served(bench or Bench(), Clients(state), local.oscore_port)
    await made.clients.load()
    points, opened = made.bench.dispatch.points, asyncio.Event()
    task = asyncio.create_task(
        serve_oscore(
            local, made.clients, made.bench.dispatch.handle_local,
            lambda query: link_format(points, query), made.changes.watch, opened.set,
        )
    )  # fmt: skip
    await opened.wait()
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait([task])


class Client:
    """A program on the home network, by aiocoap."""

    def __init__(self, context: Any, base: str) -> None:
        self.context = context
        self._base = base

    def request(self, method: str, path: str, payload: bytes = b"", **options: Any) -> Any:
        """Begin a request; the result is aiocoap's."""
        message = aiocoap.Message(
            code=aiocoap.Code[method], payload=payload, uri=f"{self._base}/", **options
        )
        name, _, query = path.partition("?")
        message.opt.uri_path = tuple(name.split("/"))
        message.opt.uri_query = tuple(query.split("&")) if query else ()
        return self.context.request(message)

    async def ask(self, method: str, path: str, payload: bytes = b"") -> Answer:
        """Ask, and return the answer."""
        async with asyncio.timeout(DEADLINE):
            reply = await self.request(method, path, payload).response
        return Answer(int(reply.code), reply.payload)


@contextlib.asynccontextmanager
async def client_of(base: str, folder: Path, keys: Keys | None) -> AsyncIterator[Client]:
    """Yield a client that keeps ``keys`` in ``folder``; None: it has none."""
    context = await aiocoap.Context.create_client_context()
    if keys is not None:
        store(folder, keys, base)
        context.client_credentials.load_from_dict(
            {f"{base}/*": {"oscore": {"basedir": str(folder)}}}
        )
    yield Client(context, base)
    await context.shutdown()
    for kept in context.client_credentials.values():
        kept._destroy()  # as the end of its program does: it releases the lock on the folder


def store(folder: Path, keys: Keys, base: str) -> None:
    """Put keys where a client keeps them, as `story-agent lan add` prints them."""
    folder.mkdir(exist_ok=True)
    (folder / "secret.json").write_text(json.dumps({"uri": base, **keys.to_json()}))
