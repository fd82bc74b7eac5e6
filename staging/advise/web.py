"""A web server that cuts, redirects, lies and dawdles: for what an update fetches."""

from __future__ import annotations

import asyncio
import contextlib
import re

from staging.advise.bench import Serving

REQUEST_LIMIT = 16 * 1024
# Seconds for a request to come whole.
REQUEST_SECONDS = 10.0
PIECE = 4096
PAGE = b"<html><title>Log in</title>Please log in.</html>"
_RANGE = re.compile(rb"range: *bytes=([0-9]{1,12})-", re.IGNORECASE)


class Web:
    """Serves files by their paths, on a port of its own."""

    def __init__(self) -> None:
        self._files: dict[str, Serving] = {}
        self._server: asyncio.Server | None = None
        self.base = ""

    async def open(self, host: str) -> None:
        """Begin to serve at an address of this machine."""
        self._server = await asyncio.start_server(self._answer, host, 0, limit=REQUEST_LIMIT)
        port = self._server.sockets[0].getsockname()[1]
        self.base = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.close()

    def serve(self, path: str, how: Serving) -> str:
        """Offer a file; return its URL."""
        how.asked = []
        self._files[path] = how
        return f"{self.base}{path}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode("ascii", "replace")
            await self._send(writer, path, head)
        writer.close()

    async def _send(self, writer: asyncio.StreamWriter, path: str, head: bytes) -> None:
        how = self._files.get(path)
        if how is None:
            writer.write(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        found = _RANGE.search(head)
        first = int(found[1]) if found else 0
        if how.asked is not None:
            how.asked.append(first)
        writer.write(header(how, path, first))
        if how.status == 200:
            await _send_body(writer, how, first)
        await writer.drain()


def header(how: Serving, path: str, first: int) -> bytes:
    """Return the head of an answer."""
    if how.status == 302:
        return f"HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    if how.status != 200:
        return (
            f"HTTP/1.1 {how.status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
    if how.page:
        told = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}\r\n"
        return f"{told}Connection: close\r\n\r\n".encode()
    size, left = len(how.content), len(how.content) - first
    line = "200 OK" if not first else "206 Partial Content"
    more = f"Content-Range: bytes {first}-{size - 1}/{size}\r\n" if first else ""
    told = f"HTTP/1.1 {line}\r\nContent-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n"
    return f"{told}{more}Content-Length: {left}\r\nConnection: close\r\n\r\n".encode()


async def _send_body(writer: asyncio.StreamWriter, how: Serving, first: int) -> None:
    body = PAGE if how.page else how.content[first:]
    body = body[: how.cut] if how.cut else body
    for at in range(0, len(body), PIECE):
        writer.write(body[at : at + PIECE])
        await writer.drain()
        if how.pace:
            await asyncio.sleep(PIECE / how.pace)
