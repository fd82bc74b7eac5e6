"""A web server that cuts, redirects, lies and dawdles: for what an update fetches."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from staging.advise.bench import Serving

REQUEST_LIMIT = 16 * 1024
# Seconds for a request to come whole.
REQUEST_SECONDS = 10.0
PIECE = 4096
PAGE = b"<html><title>Log in</title>Please log in.</html>"
REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found"}
_RANGE = re.compile(rb"\r\nrange: *bytes=([0-9]{1,12})-([0-9]{0,12})[ \r]", re.IGNORECASE)


class Web:
    """Serves files by their paths, on a port of its own."""

    def __init__(self) -> None:
        self._files: dict[str, Serving] = {}
        self._server: asyncio.Server | None = None
        self.base = ""

    async def open(self, host: str, port: int = 0) -> None:
        """Begin to serve at an address of this machine; port 0: any. Raises OSError."""
        self._server = await asyncio.start_server(self._answer, host, port, limit=REQUEST_LIMIT)
        port = self._server.sockets[0].getsockname()[1]
        self.base = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.close()

    def serve(self, path: str, how: Serving) -> str:
        """Offer a file; return its URL."""
        self._files[path] = how
        return f"{self.base}{path}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode("ascii", "replace")
            found = _RANGE.search(head)
            first, last = (int(found[1]), int(found[2] or -1)) if found else (0, -1)
            how = self._files.get(path)
            if head.startswith(b"HEAD "):
                how = None if how is None else replace(how, asked=[])
                writer.write(reply(how, path, first, last).head)
                await writer.drain()
            else:
                await _send(writer, reply(how, path, first, last), 0 if how is None else how.pace)
        writer.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request gets: the status, the headers, and as much of the body as is sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def head(self) -> bytes:
        """The status line and the headers."""
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'No')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join([*lines, "Connection: close", "", ""])).encode()


def reply(how: Serving | None, path: str, first: int, last: int = -1) -> Reply:
    """Return what a request gets that asks for the bytes from ``first`` to ``last``, -1: the end; it is noted in ``how``."""
    if how is None:
        return Reply(404, {"Content-Length": "0"})
    how.asked.append(first)
    faulty = not how.times or len(how.asked) <= how.times
    if faulty and how.status == 302:
        return Reply(302, {"Location": how.to or path, "Content-Length": "0"})
    if faulty and how.status != 200:
        return Reply(how.status, {"Content-Length": "0"})
    if faulty and how.page:
        told = {"Content-Type": "text/html", "Content-Length": str(len(PAGE))}
        return Reply(200, told, PAGE)
    if not how.ranges:
        first, last = 0, -1
    return _part(how, first, last, how.cut if faulty else 0)


def _part(how: Serving, first: int, last: int, cut: int) -> Reply:
    size = len(how.content)
    if first >= size:
        return Reply(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
    end = min(last, size - 1) if last >= first else size - 1
    body = how.content[first : end + 1]
    told = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))}
    if how.ranges:
        told["Accept-Ranges"] = "bytes"
    is_part = len(body) < size
    if is_part:
        told["Content-Range"] = f"bytes {first}-{end}/{size}"
    return Reply(206 if is_part else 200, told, body[:cut] if cut else body)


async def _send(writer: asyncio.StreamWriter, made: Reply, pace: int) -> None:
    writer.write(made.head)
    for at in range(0, len(made.body), PIECE):
        writer.write(made.body[at : at + PIECE])
        await writer.drain()
        if pace:
            await asyncio.sleep(PIECE / pace)
    await writer.drain()
