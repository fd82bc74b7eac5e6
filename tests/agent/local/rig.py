"""What the tests of the local interfaces share: data points of every kind, and a served local API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import httpx

from agent.local.http import build_app
from agent.local.server import LocalServer
from agent.local.sockets import loopback_socket, unix_socket
from agent.settings import VoiceSettings
from agent.voice.sender import VoiceSender
from machine.errors import RefusedError, UnavailableError
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import DEADLINE
from wire.codes import Code
from wire.datapoints import (
    STRING_LIMIT,
    DataPointDescription,
    DataType,
    Method,
    Range,
    Value,
)
from wire.exchange import Answer

LOCAL_TOKEN = "token-of-the-local-tests"
BOTH = (Method.GET, Method.PUT)
SECRET = "/home/secret-internals"


class Kept(DataPoint):
    """Stores a value; refuses, fails, crashes or hangs for certain values."""

    def __init__(self, name: str, kind: DataType, pattern: Range | None, value: Value) -> None:
        self._description = DataPointDescription(name, kind, name, "", BOTH, pattern)
        self.value = value
        self.limit = STRING_LIMIT

    @property
    def description(self) -> DataPointDescription:  # type: ignore[override]
        return replace(self._description, limit=self.limit)

    async def get(self) -> Value:
        return self.value

    async def put(self, value: Value) -> None:
        match value:
            case "refuse":
                raise RefusedError("title: got refuse, expected something else")
            case "fail":
                raise UnavailableError("no sound device")
            case "crash":
                raise KeyError(SECRET)
            case "hang":
                await asyncio.Event().wait()
        self.value = value


class ReadOnly(DataPoint):
    description: ClassVar = DataPointDescription("gauge", DataType.INT, "", "", (Method.GET,))

    async def get(self) -> Value:
        return 42


class Bench:
    """One dispatch behind all three protocols."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, Value]] = []
        self.dispatch = Dispatch(
            [
                Kept("even", DataType.INT, Range(-10, 10, 2), 0),
                Kept("free", DataType.INT, None, 0),
                Kept("flag", DataType.BOOL, None, value=False),
                Kept("title", DataType.STRING, None, "春天在哪里"),
                ReadOnly(),
            ],
            self.changed,
        )
        self.senders: dict[str, Callable[[str, str, bytes], Awaitable[Answer]]] = {}

    async def changed(self, name: str, value: Value) -> None:
        self.changes.append((name, value))

    async def send(self, method: str, name: str, payload: bytes) -> Answer:
        """Send the request over each protocol; the answers must be equal."""
        replies = {
            protocol: await send(method, name, payload) for protocol, send in self.senders.items()
        }
        assert len(set(replies.values())) == 1, replies
        return next(iter(replies.values()))


async def cancel(transaction: str) -> Answer:
    return Answer.from_text(Code.CONFLICT, f"update {transaction} is being switched to")


STATUS: dict[str, object] = {}
"""What the rig's agent says about itself."""


async def no_status() -> Mapping[str, object]:
    return STATUS


@contextlib.asynccontextmanager
async def serving(
    dispatch: Dispatch, path: Path, port: int = 0
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve HTTP on a Unix socket, and on a port of 127.0.0.1 if one is given."""
    voice = VoiceSender(MemoryLink(is_up=False), VoiceSettings())
    with unix_socket(path) as bound:
        server = LocalServer(build_app(dispatch, voice, no_status, cancel, token=LOCAL_TOKEN))
        sockets = [bound, *([loopback_socket(port)] if port else [])]
        task = asyncio.create_task(server.serve(sockets))
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://agent", timeout=DEADLINE
        ) as client:
            yield client
        server.stop()
        await task
        for extra in sockets[1:]:
            extra.close()
