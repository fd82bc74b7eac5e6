"""One GET to a server of stories: its address judged after the look-up, redirects followed, TLS verified.

The connection goes to the very address that was judged: there is no second look-up that could
answer differently. Dates of certificates are judged under the trusted clock, as for updates. h11 is there
through uvicorn.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h11

from base.clock import TrustedTime
from base.tls_dates import check_dates, leave_dates
from machine.errors import UnavailableError
from resources.online.pace import Pace
from resources.online.policy import REDIRECTS_LIMIT, AddressError, Policy, Target, follow
from resources.playing.events import Kind, RefusedOrderError
from wire.records import dataclass

# Look-up, TCP, TLS, redirects and headers together: a second title must fit into an order's 8 s.
OPEN_SECONDS = 5.0
# For one of several addresses: a network whose IPv6 leads nowhere must leave time for IPv4.
CONNECT_SECONDS = 2.0
# Silence after which a transfer counts as cut. The player reads a minute ahead.
READ_SECONDS = 15.0
# Bytes. Headers beyond this are no story's; a piece is what is read at once.
HEAD_LIMIT = 32 * 1024
PIECE = 32 * 1024

_GONE = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
# SHOUTcast's first version answers so.
_ICY = b"ICY "

Resolve = Callable[[str, int], Awaitable[list[tuple[Any, ...]]]]

# A resolver that hangs must not hold the threads that read the card.
_NAMES = ThreadPoolExecutor(max_workers=2, thread_name_prefix="names")


async def look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    """Return the addresses of a name, in the order in which they are to be tried; raises OSError."""
    ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    return await asyncio.get_running_loop().run_in_executor(_NAMES, ask)


class StatusError(RefusedOrderError):
    """The server answers, but not with a story."""

    def __init__(self, status: int) -> None:
        """Name the HTTP ``status``."""
        kind = Kind.NOT_FOUND if status in _GONE else Kind.BROKEN_OFF
        super().__init__(kind, f"play: the server answers {status}, expected a story")
        self.status = status


class CircleError(AddressError):
    """The server's redirects lead nowhere: to ask once more is no use."""


class CutError(UnavailableError):
    """A transfer ended before its end."""

    def __init__(self, detail: str) -> None:
        """Keep ``detail`` in the message."""
        super().__init__(f"play: the transfer broke off: {detail}")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server says of a story.

    Attributes:
        target: where it was found, after redirects.
        content_type: the Content-Type header, "" without.
        size: its bytes, None if unknown: a stream without end, or one made on the fly.
        ranges: whether a part of it can be asked for.
        validator: a strong ETag or the time of the last change, "" without: the same bytes have
            the same one.
    """

    target: Target
    content_type: str = ""
    size: int | None = None
    ranges: bool = False
    validator: str = ""


class Response:
    """The body of a story from ``start`` on; close it."""

    def __init__(self, link: _Link, facts: Facts, start: int) -> None:
        """Read from ``link``, whose headers have been read."""
        self._link = link
        self.facts = facts
        self.start = start

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the body's own end.

        Raises:
            CutError: the connection broke, or nothing came in READ_SECONDS.
        """
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._link.read_body()
        except TimeoutError as error:
            raise CutError(f"nothing in {READ_SECONDS:g} s") from error
        except (OSError, h11.RemoteProtocolError) as error:
            raise CutError(_describe(error)) from error

    def close(self) -> None:
        """Close the connection at once; what has not been read is not fetched."""
        self._link.close()


class Upstream:
    """Opens stories on servers that a policy admits."""

    def __init__(
        self,
        policy: Policy,
        clock: TrustedTime,
        *,
        ca_file: Path | None = None,
        resolve: Resolve = look_up,
    ) -> None:
        """Open nothing yet.

        Args:
            policy: judges each address.
            clock: the time at which certificates are judged.
            ca_file: PEM file that https servers must chain to; None: the system's store.
            resolve: looks a name up, as `socket.getaddrinfo` does.
        """
        self._policy = policy
        self._clock = clock
        self._ca_file = ca_file
        self._resolve = resolve
        self._context: ssl.SSLContext | None = None
        self._pace = Pace()

    async def open(self, target: Target, *, start: int = 0, validator: str = "") -> Response:
        """Ask for ``target`` from byte ``start`` on; the response may start earlier.

        Args:
            target: the story.
            start: the first byte wanted.
            validator: of the bytes before ``start``; if they have changed, all is sent again.

        Raises:
            AddressError: not allowed, or no answer.
            StatusError: the answer is no story.
            CutError: the answer is another part.
        """
        wanted = [("Range", f"bytes={start}-")]
        if start and validator:
            wanted.append(("If-Range", validator))
        return await self._follow_in_time(target, "GET", wanted, start)

    async def check(self, target: Target) -> Facts:
        """Return what the server says of ``target`` without its bytes; raises as `open` does."""
        response = await self._follow_in_time(target, "HEAD", [], 0)
        response.close()
        return response.facts

    async def _follow_in_time(
        self, target: Target, method: str, wanted: list[tuple[str, str]], start: int
    ) -> Response:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                return await self._follow(target, method, wanted, start)
        except TimeoutError as error:
            raise AddressError(f"{target.shown}: no answer in {OPEN_SECONDS:g} s") from error

    async def _follow(
        self, target: Target, method: str, wanted: list[tuple[str, str]], start: int
    ) -> Response:
        asked: list[Target] = []
        while len(asked) <= REDIRECTS_LIMIT and target not in asked:
            asked.append(target)
            link = await self._connect(target)
            try:
                status, found = await _ask(link, target, method, wanted)
                if status not in _REDIRECTS or not found.get("location"):
                    return Response(link, *_read_head(target, status, found, start))
            except BaseException:
                link.close()
                raise
            link.close()
            target = follow(target, found["location"])
        if target in asked:
            raise CircleError(f"{target.shown}: redirects in a circle")
        raise CircleError(f"{target.shown}: more than {REDIRECTS_LIMIT} redirects")

    async def _connect(self, target: Target) -> _Link:
        """Connect to the first address of ``target`` that is admitted and answers."""
        wait = self._pace.wait(target.host, OPEN_SECONDS)
        if wait is None:
            raise AddressError(f"{target.shown}: its server was asked too often just now")
        if wait:
            await asyncio.sleep(wait)
        rows = await self._look_up(target)
        admitted = [row for row in rows if self._policy.admits(str(row[4][0]))]
        if not admitted:
            raise AddressError(f"{target.shown}: none of {len(rows)} addresses is allowed")
        for row in admitted:
            last = row is admitted[-1]
            try:
                async with asyncio.timeout(None if last else CONNECT_SECONDS):
                    return await self._connect_to(row, target)
            except (OSError, TimeoutError) as error:
                if last:
                    raise AddressError(f"{target.shown}: {_describe(error)}") from error
        raise AddressError(f"{target.shown}: no address")

    async def _look_up(self, target: Target) -> list[tuple[Any, ...]]:
        try:
            return await self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise AddressError(f"{target.shown}: {_describe(error)}") from error

    async def _connect_to(self, row: tuple[Any, ...], target: Target) -> _Link:
        """Connect to one row of the look-up, whose address is not looked up again."""
        family, kind, protocol, _, address = row
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, address)
            options: dict[str, Any] = {}
            if target.tls:
                options = {"ssl": self._tls(), "server_hostname": target.host.rstrip(".")}
            reader, writer = await asyncio.open_connection(sock=connection, limit=PIECE, **options)
        except BaseException:
            connection.close()
            raise
        link = _Link(reader, writer)
        try:
            if target.tls:
                check_dates(writer.get_extra_info("ssl_object"), self._clock)
        except ssl.SSLError:
            link.close()
            raise
        return link

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            leave_dates(context)
            _trust(context, self._ca_file)
        return self._context


def _trust(context: ssl.SSLContext, ca_file: Path | None) -> None:
    """Trust ``ca_file``, or the system's store: as a folder, of which only what is needed is read.

    The same store as one file takes 2 MB of the agent's memory.
    """
    folder = Path(ssl.get_default_verify_paths().openssl_capath)
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    elif "SSL_CERT_FILE" in os.environ or not any(folder.glob("*.0")):
        context.load_default_certs()
    else:
        context.load_verify_locations(capath=folder)


class _Link:
    """One connection with one exchange of HTTP on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        self._received = 0

    async def ask(self, request: h11.Request) -> h11.Response:
        """Send the request and return the answer's head."""
        self._writer.write(self._http.send(request) + self._http.send(h11.EndOfMessage()))
        await self._writer.drain()
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event

    async def read_body(self) -> bytes:
        """Return the next bytes of the body, b"" at its end."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return b""

    def close(self) -> None:
        # Not closed in good order: the rest of the story would be read first.
        self._writer.transport.abort()

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(PIECE)
            if self._received == 0 and data:
                while len(data) < len(_ICY) and (more := await self._reader.read(PIECE)):
                    data += more
                data = b"HTTP/1.0 " + data[len(_ICY) :] if data.startswith(_ICY) else data
            self._received += len(data)
            self._http.receive_data(data)
        return event


async def _ask(
    link: _Link, target: Target, method: str, wanted: list[tuple[str, str]]
) -> tuple[int, dict[str, str]]:
    """Send the request; return the answer's status and headers, their names in lower case."""
    headers = [
        ("Host", target.authority),
        ("User-Agent", "story-agent"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        *wanted,
    ]
    if target.login:
        headers.append(("Authorization", target.login))
    try:
        answer = await link.ask(h11.Request(method=method, target=target.path, headers=headers))
    except (OSError, h11.RemoteProtocolError) as error:
        raise AddressError(f"{target.shown}: {_describe(error)}") from error
    found = {name.decode(): _text(value) for name, value in answer.headers}
    return answer.status_code, found


def _read_head(target: Target, status: int, found: dict[str, str], start: int) -> tuple[Facts, int]:
    """Return what the head says of the story, and the first byte that follows."""
    size: int | None = None
    first = 0
    if status == 206:
        match = _CONTENT_RANGE.fullmatch(found.get("content-range", "").strip())
        if match is None or int(match[1]) != start:
            raise CutError(f"the server sent another part than was asked for: {target.shown}")
        first = start
        size = None if match[3] == "*" else int(match[3])
    elif status != 200:
        raise StatusError(status)
    else:
        with contextlib.suppress(KeyError, ValueError):
            size = int(found["content-length"])
    ranges = status == 206 or "bytes" in found.get("accept-ranges", "")
    etag = found.get("etag", "")
    validator = etag if etag.startswith('"') else found.get("last-modified", "")
    return Facts(target, found.get("content-type", ""), size, ranges, validator), first


def _text(value: bytes) -> str:
    """Return a header's value: addresses in UTF-8 are no ASCII but common."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _describe(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return str(error) or type(error).__name__
