"""What `tools.fuzz` feeds to the agent's local HTTP port: whatever a program, a page of the web or a child's toy on the home network sends there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from agent.link import LinkError
from agent.local.http import build_app
from agent.local.server import Connection, LocalServer
from resources.dispatch import Dispatch
from resources.points.child_lock import ChildLockPoint
from resources.record import Record
from tools.fuzz_target import Target
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer

# Turns of the event loop in which what needs no thread is answered.
TURNS = 30
# Seconds for an answer to one who has gone: nothing waits any more.
ANSWER_SECONDS = 5.0
_TOKEN = "token-of-a-program"  # noqa: S105  # of nobody
_HOST = b"Host: 127.0.0.1:8080\r\nAuthorization: Bearer " + _TOKEN.encode() + b"\r\n"
_READ = b"GET /child_lock HTTP/1.1\r\n" + _HOST + b"\r\n"
_SET = b"PUT /child_lock HTTP/1.1\r\n" + _HOST + b"Content-Length: 4\r\n\r\ntrue"
_PIECES = (
    b"PUT /child%5Flock?a=b HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    b"2\r\nfa\r\n3;x=y\r\nlse\r\n0\r\nA: b\r\n\r\n"
)
_EXPECTING = (
    b"PUT /child_lock HTTP/1.1\r\n"
    + _HOST
    + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nfalse"
)
_SOUND = b"POST /voice HTTP/1.1\r\n" + _HOST + b"Content-Length: 12\r\n\r\nRIFF\x04\0\0\0WAVE"
_OLD = b"HEAD /resource HTTP/1.0\r\n" + _HOST + b"Connection: keep-alive\r\n\r\n"
_CANCEL = b"DELETE /newfirmware?transaction=1 HTTP/1.1\r\n" + _HOST + b"Connection: close\r\n\r\n"


class _Client(asyncio.Transport):
    """The sending half of a client that takes all and never asks again."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000)})
        self.sent = bytearray()
        self._is_closing = False

    def write(self, data: Any) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Go on reading."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Hold nothing back: all has come."""

    def resume_reading(self) -> None:
        """Hold nothing back."""


class _Faults(logging.Handler):
    """Errors that the server has not expected, and writes to its log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.found.append(record.exc_info[1])


class _Mute:
    """The sender of voice of an agent without a link."""

    async def send(self, _sound: object) -> Any:
        raise LinkError("no link")


async def _status() -> Mapping[str, object]:
    return {"version": "1.0.0"}


async def _cancel(transaction: str) -> Answer:
    return Answer.from_text(Code.CONFLICT, f"no update {transaction}")


async def _changed(_name: str, _value: Value) -> None:
    """Tell nobody."""


async def _serve(data: bytes) -> None:
    voice: Any = _Mute()
    dispatch = Dispatch([ChildLockPoint(Record(None))], _changed)
    server = LocalServer(build_app(dispatch, voice, _status, _cancel, token=_TOKEN))
    client, connection = _Client(), Connection(server)
    connection.connection_made(client)
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        if piece and not client.is_closing():
            connection.data_received(piece)
            for _ in range(TURNS):
                await asyncio.sleep(0)
    connection.connection_lost(None)
    if server.answering:
        _, late = await asyncio.wait(server.answering, timeout=ANSWER_SECONDS)
        if late:
            raise AssertionError("a client that has gone is still answered")
    if client.sent and not client.sent.startswith(b"HTTP/1.1 "):
        raise AssertionError(bytes(client.sent))


def _ask(data: bytes) -> None:
    """Let a client send ``data`` and go; raises what the server did not expect."""
    faults, log = _Faults(), logging.getLogger("agent.local.server")
    log.addHandler(faults)
    passed_on, log.propagate = log.propagate, False
    try:
        asyncio.run(_serve(data))
    finally:
        log.removeHandler(faults)
        log.propagate = passed_on
    for fault in faults.found:
        raise fault


def local_targets() -> list[Target]:
    """Return the reader of requests to the agent itself."""
    good = [_READ, _SET + _READ, _PIECES, _EXPECTING, _SOUND, _OLD, _CANCEL]
    return [Target("requests to the local port", good, _ask, ())]
