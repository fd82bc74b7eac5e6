"""What `tools.fuzz` feeds to the readers of strangers' HTTP: what servers of updates and of stories answer, and where they lead to."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

from base.clock import TrustedTime
from base.interim import FinalResponse
from machine.errors import ResourceError
from ota.errors import OtaError
from ota.fetch.responses import (
    check_page,
    check_range,
    check_retry_after,
    interpret,
    is_metadata,
    looks_like_metadata,
)
from ota.fetch.source import WebSettings
from ota.fetch.web import Web, follow, parse_retry_after
from resources.online import policy, upstream
from tools.fuzz_target import Target

_URL = "http://127.0.0.1/p/a.tar"
_LENGTH, _HERE = 10, 4
_REDIRECTS = 3
_PIECE = 64 * 1024
_DATE = b"Date: Fri, 27 Nov 2026 10:00:00 GMT\r\n"
_WHOLE = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: "a"\r\nAccept-Ranges: bytes\r\n\r\n0123456789'
)
_PART = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: audio/mpeg\r\n\r\n5\r\n01234\r\n5;x=y\r\n56789\r\n0\r\nA: b\r\n\r\n"
_LEADS = b"HTTP/1.1 302 Found\r\nLocation: /q/%E9%9F%B3?a=b\r\nContent-Length: 0\r\n\r\n"
_LATER = b"HTTP/1.1 503 Busy\r\n" + _DATE + b"Retry-After: 120\r\nContent-Length: 0\r\n\r\n"
_UNTIL = b"HTTP/1.1 429 Busy\r\n" + _DATE + b"Retry-After: Fri, 27 Nov 2026 10:02:00 GMT\r\n\r\n"
_EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + _WHOLE
_PAGE = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"
_ICY = b"ICY 200 OK\r\nicy-name:\xe9\x9f\xb3\r\nContent-Type:audio/mpeg\r\n\r\nsound"
_ANSWERS = [_WHOLE, _PART, _CHUNKED, _LEADS, _LATER, _UNTIL, _EARLY, _PAGE]


def _begins_at(data: bytes) -> int:
    """Return the byte that was asked for: a part is the answer to a request for one."""
    return _HERE if b"206" in data[:20] else 0


class _Answer:
    """A socket that takes a request and has a stranger's whole answer ready."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_words: object, **_named: object) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self._data))

    def sendall(self, _data: bytes) -> None:
        """Take a request."""

    def settimeout(self, _seconds: float | None) -> None:
        """Never wait."""

    def shutdown(self, _how: int) -> None:
        """End nothing."""

    def close(self) -> None:
        """Close nothing."""


def _updates() -> Callable[[bytes], object]:
    """Return a reader of what a server of updates answers: by urllib3 and http.client, as an update reads it."""
    import urllib3  # noqa: PLC0415  # as `ota.fetch.pool`
    from urllib3.connection import HTTPConnection  # noqa: PLC0415

    given = [b""]

    class Connection(HTTPConnection):
        """A connection to a stranger, whatever the address."""

        is_connected = False  # the next request has a connection of its own
        response_class = FinalResponse  # as `ota.fetch.pool`

        def connect(self) -> None:
            self.sock = _Answer(given[0])

    class Pool(urllib3.HTTPConnectionPool):
        """Connections to strangers."""

        ConnectionCls = Connection

    class Nowhere(urllib3.HTTPConnectionPool):
        """TLS begins with no stranger of these."""

        def urlopen(self, *_words: Any, **_named: Any) -> Any:
            raise OSError("nobody is there")

    def read(data: bytes) -> None:
        given[0] = data
        here = _begins_at(data)
        with Web(WebSettings()) as web:
            pool = urllib3.PoolManager()
            pool.pool_classes_by_scheme = {"http": Pool, "https": Nowhere}
            web._pool = pool  # noqa: SLF001  # the place of the network
            with web.get(_URL, redirects=_REDIRECTS) as body:
                first = body.read(_PIECE)
                check_retry_after(body)
                check_page(body, first, _LENGTH)
                looks_like_metadata(first)
                is_metadata(first)
                told = body.header("Content-Range")
                interpret(body.status, told, body.header("Content-Length"), here, _LENGTH)
                if here:
                    check_range(body.status, told, here, _LENGTH - 1, _LENGTH)
                while body.read(_PIECE):
                    pass

    return read


class _Writer:
    """The sending half of a connection to a stranger."""

    def __init__(self) -> None:
        self.transport = self

    def write(self, data: bytes) -> None:
        """Take a request."""

    async def drain(self) -> None:
        """Never wait."""

    def abort(self) -> None:
        """Close nothing."""


def _stories(data: bytes) -> None:
    """Read what a server of stories answers: by h11, as the player's relay does."""

    class Stranger(upstream.Upstream):
        """Whatever the address, the same stranger answers."""

        async def _connect(self, target: policy.Target) -> upstream._Link:  # noqa: ARG002  # the place of the network
            reader = asyncio.StreamReader()
            reader.feed_data(data)
            reader.feed_eof()
            writer: Any = _Writer()
            return upstream._Link(reader, writer)  # noqa: SLF001  # the place of the network

    async def read() -> None:
        clock: Any = TrustedTime
        stranger = Stranger(policy.Policy(), clock)
        target = policy.parse_target("http://stories.example/a.mp3")
        response = await stranger.open(target, start=_begins_at(data), validator='"a"')
        while await response.read():
            pass

    asyncio.run(read())


def _waits(data: bytes) -> None:
    """Read a Retry-After and, in the second line, the Date beside it."""
    value, _, date = data.decode("latin-1").partition("\n")
    seconds = parse_retry_after(value, date or None)
    if seconds is not None and not 0 <= seconds < float("inf"):
        raise AssertionError(seconds)


def http_targets() -> list[Target]:
    """Return the readers of strangers' HTTP."""
    story = policy.parse_target("https://user:secret@stories.example/a/b.mp3?c=d")
    places = [b"/q", "https://h.example/音".encode(), b"https://h:443/../a?b#c"]
    until = b"Fri, 27 Nov 2026 10:02:00 GMT\nFri, 27 Nov 2026 10:00:00 +0000"
    return [
        Target("answers of update servers", _ANSWERS, _updates(), (OtaError,)),
        Target("answers of story servers", [*_ANSWERS, _ICY], _stories, (ResourceError,)),
        Target("waits that servers ask for", [b"120", until], _waits, ()),
        Target(
            "redirects of update servers", places,
            lambda data: follow(_URL, data.decode("latin-1"), _REDIRECTS), (OtaError,),
        ),
        Target(
            "redirects of story servers", places,
            lambda data: policy.follow(story, data.decode("utf-8", "replace")), (ResourceError,),
        ),
    ]  # fmt: skip
