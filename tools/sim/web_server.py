"""A web server of stories in the simulated network, and what its stories are made of.

Each block of a story names the story, its edition and its own place: who reads a piece knows what it is. The server
is slow, breaks off, has lost a story, tells a wrong length, sends elsewhere, or has another edition meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.sim.sockets import SimSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.sim.net import Network

HOST, ADDRESS, PORT = "stories.test", "93.184.216.34", 443
STORIES = [f"web-{number}" for number in range(6)]
# Of sound a second; of a block.
RATE, BLOCK = 2000, 64
# Bytes of each story: half a minute to a minute and a half. An edition of an even one is longer than the one before.
SIZES = (60_032, 90_048, 120_064, 150_016, 180_032, 75_008)
LONGER = 6400
# Those that a machine can keep all at once.
PINNED = ("web-0", "web-1", "web-5")
# What the server sends at once, and the seconds that it takes for it.
PIECE, PACE = 16_384, 0.05
SLOW_PIECE, SLOW_PACE = 8192, 1.5
TROUBLES = (
    "slow", "breaks off", "breaks off", "is missing", "tells a wrong length", "sends elsewhere", "sends round and round", "is busy",
)  # fmt: skip
# What a server does not do, or does always: each may come with the others.
MANNERS = ("no ranges", "no marks", "a few bytes")
# How a server tells a story's length: by a number, by the last of its pieces, or by the connection's end.
LENGTHS = ("told", "chunked", "until close")
# What one sends that breaks off each time: of a story's beginning so much that it is known as one, and of the rest.
BEGIN_BYTES, FEW_BYTES = 8000, 400
# Who asks again within so many seconds has not paused: a connection takes as long.
HURRY_SECONDS = 0.6
_HEAD = b"\xff\xfb\x90\x64"
_LABEL = re.compile(rb"\xff\xfb\x90\x64(web-\d) (\d{4}) (\d{9})\x00")
_RANGE = re.compile(rb"\r\nrange: bytes=(\d+)-", re.IGNORECASE)
_IF_RANGE = re.compile(rb"\r\nif-range: ([^\r]+)\r\n", re.IGNORECASE)


def url_of(name: str) -> str:
    """Return a story's address."""
    return f"https://{HOST}/{name}.mp3"


@functools.lru_cache(50)
def body_of(name: str, edition: int) -> bytes:
    """Return a story's bytes."""
    number = STORIES.index(name)
    size = SIZES[number] + (LONGER * edition if number % 2 == 0 else 0)
    return b"".join(
        _HEAD + f"{name} {edition:04} {at:09}".encode().ljust(BLOCK - 4, b"\x00")
        for at in range(0, size, BLOCK)
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """What a piece of bytes is: of which story, which edition, and whether it is that, to the byte."""

    name: str
    edition: int
    is_whole: bool


def piece_at(data: bytes, at: int) -> Piece | None:
    """Return what bytes are that stand at a place of a story; None: too few to tell, or nothing of any."""
    first = -at % BLOCK
    found = _LABEL.match(data, first)
    if found is None:
        return None
    name, edition = found[1].decode(), int(found[2])
    return Piece(name, edition, body_of(name, edition)[at : at + len(data)] == data)


@dataclass(frozen=True, slots=True)
class Page:
    """What stands at an address: under which mark, and of which type."""

    mark: str
    body: bytes
    kind: str = "audio/mpeg"


class Stranger(asyncio.StreamReaderProtocol):
    """The server's end of a connection: what it believes of one that is dead is nobody's business."""

    is_stranger = True


class WebServer:
    """The server.

    Attributes:
        trouble: what is wrong with it, one of `TROUBLES`, or "".
        manners: what it is like, some of `MANNERS`.
        lengths: how it tells lengths, one of `LENGTHS`.
        unsaid: stories that were sent so that nobody can know which edition, which place of it, or whether all of it came.
        find_page: returns what is at another name than a story's.
        was_unmarked: whether it ever sent a story without saying which edition that is.
        edition: of all its stories.
        asked: how often it was asked for one.
        hurried: in the longest row, how often one was asked for again at once where it had broken off after a few bytes.
    """

    def __init__(self, net: Network, rng: random.Random) -> None:
        """Listen."""
        self._net, self._rng = net, rng
        self.trouble = ""
        self.manners: frozenset[str] = frozenset()
        self.was_unmarked = False
        self.lengths = "told"
        self.unsaid: set[str] = set()
        self.find_page: Callable[[str, int], Page | None] = lambda _name, _edition: None
        self.edition = 1
        self.asked = self.hurried = 0
        self._broken_off: dict[str, tuple[int, float, int]] = {}
        """Of each story where and when it broke off last, and how often in a row it was asked for at once."""
        self._at_work: set[asyncio.Task[None]] = set()
        net.hosts[HOST] = [ADDRESS]
        net.strangers.add(HOST)
        self._listener = SimSocket()
        self._listener.name = (ADDRESS, PORT)
        net.listeners[ADDRESS, PORT] = self._listener
        net.watch(self._listener, self._accept, ())

    @property
    def may_end_early(self) -> bool:
        """Whether what it sends may end without all of it, and nobody can know."""
        ends = self.trouble == "breaks off" or "a few bytes" in self.manners
        return self.lengths == "until close" and ends

    def set_name(self, *, known: bool) -> None:
        """Let its name be known, or not."""
        self._net.hosts[HOST] = [ADDRESS]
        if not known:
            del self._net.hosts[HOST]

    def _accept(self) -> None:
        while self._listener.queue:
            sock, _ = self._listener.accept()
            task = self._net.loop.create_task(self._serve(sock), context=contextvars.Context())
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def _serve(self, sock: Any) -> None:
        loop = self._net.loop
        reader = asyncio.StreamReader(loop=loop)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            transport, _ = await loop.connect_accepted_socket(
                lambda: Stranger(reader, loop=loop), sock, ssl=object()  # type: ignore[arg-type]
            )  # fmt: skip
            await self._answer(await reader.readuntil(b"\r\n\r\n"), transport)

    async def _answer(self, head: bytes, to: asyncio.Transport) -> None:
        self.asked += 1
        method, path = head.split(b" ", 2)[:2]
        name = path.decode().rpartition("/")[2].removesuffix(".mp3")
        page = self._find(name)
        match self.trouble:
            case "is missing":
                to.write(_head("404 Not Found", 0))
            case "is busy":
                to.write(_head("503 Service Unavailable", 0))
            case "sends elsewhere" if not path.startswith(b"/moved/"):
                to.write(_head("302 Found", 0, f"Location: /moved/{_last(path)}"))
            case "sends round and round":
                to.write(_head("302 Found", 0, f"Location: /again/{_last(path)}"))
            case _ if page is not None:
                await self._send(page, head, to, sends=method == b"GET")
            case _:
                to.write(_head("404 Not Found", 0))
        to.close()

    def _find(self, name: str) -> Page | None:
        if name not in STORIES:
            return self.find_page(name, self.edition)
        is_odd = self.lengths != "told" or self.trouble == "tells a wrong length"
        if self.may_end_early or ("no marks" in self.manners and is_odd):
            self.unsaid.add(name)
        return Page(f"{name}-{self.edition}", body_of(name, self.edition))

    async def _send(self, page: Page, head: bytes, to: asyncio.Transport, *, sends: bool) -> None:
        body, mark = page.body, f'"{page.mark}"'
        size = len(body) + (LONGER if self.trouble == "tells a wrong length" else 0)
        has_ranges, has_marks = "no ranges" not in self.manners, "no marks" not in self.manners
        self.was_unmarked |= not has_marks
        found, same = _RANGE.search(head) if has_ranges else None, _IF_RANGE.search(head)
        start = int(found[1]) if found is not None else 0
        row = self._count_hurry(page.mark, start)
        if same is not None and not (has_marks and same[1].decode() == mark):
            start = 0
        told = [f"Content-Type: {page.kind}"]
        told += ["Accept-Ranges: bytes"] if has_ranges else []
        told += [f"ETag: {mark}"] if has_marks else []
        if start >= size:
            to.write(_head("416 Range Not Satisfiable", 0))
            return
        lengths, is_part = self.lengths, found is not None and (start or same is None)
        if is_part:
            told.append(
                f"Content-Range: bytes {start}-{size - 1}/{'*' if lengths != 'told' else size}"
            )
        told += ["Transfer-Encoding: chunked"] if lengths == "chunked" else []
        length = size - start if lengths == "told" else None
        to.write(_head("206 Partial Content" if is_part else "200 OK", length, *told))
        if sends:
            end = await self._send_body(body, start, to, in_chunks=lengths == "chunked")
            if "a few bytes" in self.manners:
                self._broken_off[page.mark] = end, self._net.loop.time(), row

    def _count_hurry(self, mark: str, start: int) -> int:
        """Return how often in a row a story was asked for at once where it broke off."""
        place, at, row = self._broken_off.get(mark, (-1, 0.0, 0))
        is_hurried = start == place and self._net.loop.time() - at < HURRY_SECONDS
        row = row + 1 if is_hurried else 0
        self.hurried = max(self.hurried, row)
        return row

    async def _send_body(
        self, body: bytes, start: int, to: asyncio.Transport, *, in_chunks: bool
    ) -> int:
        """Send what follows the head from a place on, as long as somebody reads it; return where it ends."""
        data = body[start:]
        last = (
            self._rng.randrange(len(data) + 1)
            if self.trouble == "breaks off" and data
            else len(data)
        )
        if "a few bytes" in self.manners:
            last = min(last, FEW_BYTES if start else BEGIN_BYTES)
        at = 0
        while at < last and not to.is_closing():
            step, pace = (SLOW_PIECE, SLOW_PACE) if self.trouble == "slow" else (PIECE, PACE)
            piece = data[at : min(at + step, last)]
            to.write(b"%x\r\n%b\r\n" % (len(piece), piece) if in_chunks else piece)
            at += step
            await asyncio.sleep(pace)
        if in_chunks and last == len(data):
            to.write(b"0\r\n\r\n")
        return start + last


def _last(path: bytes) -> str:
    return path.decode().rpartition("/")[2]


def _head(status: str, length: int | None, *more: str) -> bytes:
    told = [] if length is None else [f"Content-Length: {length}"]
    lines = [f"HTTP/1.1 {status}", *told, "Connection: close", *more, "", ""]
    return "\r\n".join(lines).encode()
