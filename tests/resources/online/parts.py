"""A web server of stories that redirects, cuts, lies and keeps silent, and what the tests make on it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.clock import TrustedTime
from resources.online.cache import Cache
from resources.online.online import Online
from resources.online.policy import Policy, parse_networks
from resources.online.upstream import Upstream

DEADLINE = 60.0
# The servers of the tests; 127.9.9.9 and ::1 are addresses of this machine that are not listed.
ALLOWED = ("127.0.0.1/32",)
NOT_ALLOWED = "127.9.9.9"
# What no playlist looks like.
SOUND = b"\xff\xfb\x90\x64" + bytes(range(256)) * 200


@dataclass
class Page:
    """What a server answers for a path.

    Attributes:
        cuts: bytes after which the n-th answer is cut, -1 for an answer of 503; later ones are whole.
        framing: ``length``, ``chunked`` or ``close``.
        ends_early: a cut chunked body ends as a whole one does.
        held: the body's rest is held back after so many bytes until the client has gone.
    """

    body: bytes = SOUND
    kind: str = "audio/mpeg"
    status: str = "200 OK"
    location: str = ""
    etag: str = '"1"'
    ranges: bool = True
    framing: str = "length"
    cuts: list[int] = field(default_factory=list)
    held: int | None = None
    first_line: str = ""
    ends_early: bool = False


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    first: int
    head: str


class Site:
    """Serves ``pages`` on one address.

    Attributes:
        asked: the requests so far.
        connections: how many clients have connected.
        sent: bytes of bodies that were written.
    """

    def __init__(self, **pages: Page) -> None:
        self.pages = {f"/{name.replace('_', '.')}": page for name, page in pages.items()}
        self.asked: list[Asked] = []
        self.connections = 0
        self.sent = 0
        self.host = ""
        self.port = 0

    def url(self, path: str, *, scheme: str = "http") -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{path}"

    def firsts(self, path: str) -> list[int]:
        return [asked.first for asked in self.asked if asked.path == path and asked.method == "GET"]

    @asynccontextmanager
    async def serve(
        self, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Site]:
        async with await asyncio.start_server(self._answer, host, 0, ssl=tls) as server:
            self.host, self.port = server.sockets[0].getsockname()[:2]
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await self._serve(head, reader, writer)
            await writer.drain()
        writer.close()

    async def _serve(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, path, _ = head.split(" ", 2)
        page = self.pages.get(path.partition("?")[0], Page(status="404 Not Found", body=b"no"))
        number = len(self.firsts(path))
        found = re.search(r"(?i)^range: bytes=(\d+)-", head, re.MULTILINE)
        first = int(found[1]) if found else 0
        self.asked.append(Asked(method, path, first, head))
        cut = page.cuts[number] if method == "GET" and number < len(page.cuts) else len(page.body)
        if cut < 0:
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            return
        validator = re.search(r"(?i)^if-range: (.*)\r$", head, re.MULTILINE)
        partial = bool(found and page.ranges and page.status.startswith("200"))
        partial = partial and (validator is None or validator[1] == page.etag)
        first = first if partial else 0
        writer.write(self._head(page, first, partial=partial))
        if method == "HEAD":
            return
        body = page.body[first : first + cut]
        if page.framing == "chunked":
            chunks = [body[i : i + 5000] for i in range(0, len(body), 5000)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks)
            whole = cut >= len(page.body) - first or page.ends_early
            body += b"0\r\n\r\n" if whole else b""
        early = body if page.held is None else body[: page.held]
        writer.write(early)
        self.sent += len(early)
        if page.held is not None:
            await writer.drain()
            await reader.read()

    def _head(self, page: Page, first: int, *, partial: bool) -> bytes:
        size = len(page.body)
        lines = [page.first_line or f"HTTP/1.1 {page.status}", f"Content-Type: {page.kind}"]
        if partial:
            lines[0] = "HTTP/1.1 206 Partial Content"
            lines.append(f"Content-Range: bytes {first}-{size - 1}/{size}")
        if page.framing == "length":
            lines.append(f"Content-Length: {size - first}")
        elif page.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        if page.etag:
            lines.append(f"ETag: {page.etag}")
        if page.location:
            lines.append(f"Location: {page.location}")
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode()


def make_upstream(*, networks: tuple[str, ...] = ALLOWED, **options: Any) -> Upstream:
    return Upstream(Policy(parse_networks(networks, "networks")), TrustedTime(), **options)


def make_online(folder: Path, *, limit: int = 10**9, networks: tuple[str, ...] = ALLOWED) -> Online:
    return Online(make_upstream(networks=networks), Cache(folder, limit, free_floor=0))


@asynccontextmanager
async def online(folder: Path, **options: Any) -> AsyncIterator[Online]:
    made = make_online(folder, **options)
    try:
        yield made
    finally:
        await made.close()


async def until(look: Callable[[], object]) -> None:
    """Wait until ``look`` returns something true."""
    async with asyncio.timeout(DEADLINE):
        while not look():
            await asyncio.sleep(0.01)


@dataclass
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


async def fetch(url: str, *, first: int | None = None, upto: int | None = None) -> Got:
    """Ask the relay as a player does; reads ``upto`` bytes of the body, then closes."""
    _, _, host, path = url.split("/", 3)
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    try:
        asked = "" if first is None else f"Range: bytes={first}-\r\n"
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n{asked}\r\n".encode())
        async with asyncio.timeout(DEADLINE):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            body = await (reader.read() if upto is None else reader.readexactly(upto))
    finally:
        writer.close()
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
    return Got(int(lines[0].split(" ")[1]), headers, body)
