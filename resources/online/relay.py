"""The player's only source of stories from the web: HTTP on this machine's loopback, from the agent.

Each story has an address that nobody can guess. The player asks for ranges as of any server, and never
needs another network than loopback. Source: RFC 9110, section 14 (ranges).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections import OrderedDict

from base.backoff import Backoff
from machine.errors import ResourceError
from resources.online.policy import AddressError
from resources.online.story import Story
from resources.online.upstream import CutError

# Stories that the player may still ask for: the current one, and those around it.
STORIES_LIMIT = 4
HEAD_LIMIT = 16 * 1024
# For a request's head, once a connection is open: the player sends it at once.
HEAD_SECONDS = 5.0
BUFFER = 32 * 1024
# What no player asks for, since its order was refused or given up, is fetched no longer than this.
UNREAD_SECONDS = 5.0
# How long a transfer that is under way waits for a network that is away, below the player's own patience
# (machine.mpv_options), and the waits between two tries: the first, and the longest.
HOLD_SECONDS = 25.0
HOLD_PAUSE_SECONDS, HOLD_PAUSE_MAX = 1.0, 5.0

_GET = re.compile(rb"(GET|HEAD) /([A-Za-z0-9_-]{1,64}) HTTP/1\.[01]\r\n")
_RANGE = re.compile(rb"\r\nrange:[ \t]*bytes=(\d{1,15})-(\d{0,15})[ \t]*\r\n", re.IGNORECASE)

_log = logging.getLogger(__name__)


class Relay:
    """Serves stories to the player; `close` it."""

    def __init__(self) -> None:
        """Listen to nothing yet."""
        self._server: asyncio.Server | None = None
        self._stories: OrderedDict[str, tuple[str, Story]] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether a player reads a story."""
        return any(story.is_read for _key, story in self._stories.values())

    def find(self, key: str) -> tuple[str, Story] | None:
        """Return the URL and the story that were served for ``key``, None if there are none."""
        for name, (served, story) in self._stories.items():
            if served == key:
                self._stories.move_to_end(name)
                return self._url(name), story
        return None

    async def serve(self, key: str, story: Story) -> str:
        """Serve ``story`` until STORIES_LIMIT others came; return its URL. Raises OSError."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._answer, "127.0.0.1", 0, limit=HEAD_LIMIT, backlog=8
            )
        story.rest(UNREAD_SECONDS)
        name = secrets.token_urlsafe(16)
        self._stories[name] = (key, story)
        while len(self._stories) > STORIES_LIMIT:
            _name, (_key, old) = self._stories.popitem(last=False)
            await old.close()
        return self._url(name)

    async def forget(self, key: str) -> None:
        """Close the story of ``key``, if there is one."""
        for name, (served, story) in list(self._stories.items()):
            if served == key:
                del self._stories[name]
                await story.close()

    async def forget_idle(self) -> None:
        """Close what no player reads: of a kept story nothing can be left out while it is open."""
        for name, (_key, story) in list(self._stories.items()):
            if story.is_idle:
                del self._stories[name]
                await story.close()

    async def close(self) -> None:
        """Close all stories, and listen no longer."""
        if self._server is not None:
            self._server.close()
        for _key, story in self._stories.values():
            await story.close()
        self._stories.clear()

    def _url(self, name: str) -> str:
        if self._server is None:
            raise RuntimeError("no story is served yet")
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/{name}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, until the player closes the connection."""
        writer.transport.set_write_buffer_limits(high=BUFFER)
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.close()
            return
        sending = asyncio.create_task(self._send(head, writer))
        gone = asyncio.create_task(_until_gone(reader))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.wait({sending, gone})
            writer.close()

    async def _send(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        match = _GET.match(head)
        _key, story = self._stories.get(match[2].decode() if match else "", ("", None))
        if match is None or story is None:
            writer.write(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        with contextlib.suppress(OSError), story.reading():
            ranged = story.size is not None and b"\r\nrange:" in head.lower()
            at, end = _read_range(head, story.size)
            try:
                data = await story.read(at)
            except ResourceError as error:
                _log.info("play: not served to the player: %s", error)
                status = (
                    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                writer.write(status)
                return
            writer.write(_head(story, at, end, ranged=ranged))
            if match[1] == b"GET":
                await _pump(story, at, end, data, writer)


async def _pump(
    story: Story, at: int, end: int | None, data: bytes, writer: asyncio.StreamWriter
) -> None:
    """Send ``data`` and what follows it up to ``end``; an error ends it early, as a cut does.

    Without an ``end`` nobody sees that at the other side, so that the story itself knows it.
    """
    story.broke_off = ""
    try:
        while data:
            if end is not None:
                data = data[: end - at]
            writer.write(data)
            await writer.drain()
            at += len(data)
            data = b"" if at == end else await _read_patiently(story, at)
    except ResourceError as error:
        _log.warning("play: broken off at byte %d: %s", at, error)
        story.broke_off = str(error) if end is None else ""


async def _read_patiently(story: Story, at: int) -> bytes:
    """Read on for HOLD_SECONDS: the player has a minute in hand, and the network may come back.

    Raises:
        ResourceError: the server says no, or is away for longer.
    """
    loop = asyncio.get_running_loop()
    until, pauses = loop.time() + HOLD_SECONDS, Backoff(HOLD_PAUSE_MAX, first=HOLD_PAUSE_SECONDS)
    while True:
        try:
            return await story.read(at)
        except (AddressError, CutError):
            if loop.time() >= until:
                raise
        await asyncio.sleep(pauses.next())


def _read_range(head: bytes, size: int | None) -> tuple[int, int | None]:
    """Return the first byte that is asked for, and the end; a stream without end has no ranges."""
    match = _RANGE.search(head)
    if match is None or size is None:
        return 0, size
    end = int(match[2]) + 1 if match[2] else size
    return int(match[1]), min(end, size)


def _head(story: Story, at: int, end: int | None, *, ranged: bool) -> bytes:
    kind = "".join(c for c in story.facts.content_type if c.isprintable() and c.isascii())
    lines = [f"Content-Type: {kind or 'application/octet-stream'}", "Connection: close"]
    if end is None:
        return _lines("200 OK", lines)
    if at >= end:
        return _lines("416 Range Not Satisfiable", [*lines, "Content-Length: 0"])
    lines += ["Accept-Ranges: bytes", f"Content-Length: {end - at}"]
    if not ranged:
        return _lines("200 OK", lines)
    lines.append(f"Content-Range: bytes {at}-{end - 1}/{story.size}")
    return _lines("206 Partial Content", lines)


def _lines(status: str, lines: list[str]) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("ascii")


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Return when the player has closed its side."""
    with contextlib.suppress(OSError):
        while await reader.read(HEAD_LIMIT):
            pass
