"""An HTTP client: one GET at a time, with timeouts; it raises only the errors of `ota.errors`.

urllib3 is imported when the first request is made: only an update needs it.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from base.tls_dates import DatedContext, dated_context
from ota.errors import ContentError, FetchError, MachineError
from ota.fetch.source import WebSettings
from wire.errors import show
from wire.ota import OtaEvent

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What is asked for: lengths, ranges and hashes are of the file as it is.
_PLAIN = "identity"
_WITH_FILE = frozenset({200, 206})
_SECONDS = re.compile(r"[ \t]*([0-9]{1,9})[ \t]*")


class Web:
    """An HTTP client with a connection pool; a context manager that closes it."""

    def __init__(self, settings: WebSettings) -> None:
        """Use ``settings``; opens no connection. Raises MachineError if ``ca_file`` is missing."""
        if settings.ca_file is not None and not settings.ca_file.is_file():
            raise MachineError(f"CA file {settings.ca_file}: not there")
        self._settings = settings
        self.clock = settings.clock
        self._pool: PoolManager | None = None
        self._context: DatedContext | None = None

    @property
    def chain_end(self) -> float:
        """When the last TLS peer's certificate chain expires (Unix time, seconds); 0: none yet."""
        return self._context.chain_end if self._context else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pool is not None:
            self._pool.clear()

    def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, redirects: int = 0
    ) -> Body:
        """Send a GET and return the response, of any status, once its headers have arrived.

        Args:
            url: the address.
            headers: request headers; resent at each redirect, so they must hold no secret.
            redirects: the maximum number to follow.

        Raises:
            FetchError: no response, one that is compressed, or a redirect that must not be followed and that a
                network may have made which wants a log-in: on the way to it something was not TLS.
            ContentError: the URL is invalid, or servers that proved their names made such a redirect.
        """
        left, proven = redirects, True
        while True:
            body = self._get(url, headers)
            proven = proven and urlsplit(url).scheme == "https"
            if not redirects or body.status not in _REDIRECTS or not body.header("Location"):
                return body
            body.close()
            try:
                url = follow(url, body.header("Location") or "", left)
            except ContentError as error:
                if proven:
                    raise
                raise FetchError(f"{error} (does the network want a log-in?)") from error
            left -= 1

    def _get(self, url: str, headers: Mapping[str, str] | None) -> Body:
        from urllib3 import Timeout  # noqa: PLC0415  # only an update needs it

        settings = self._settings
        with _faults(url):
            response = self._open().request(
                "GET",
                url,
                headers={"Accept-Encoding": _PLAIN, **(headers or {})},
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=Timeout(connect=settings.connect_timeout, read=settings.read_timeout),
            )
        return _plain(Body(url, response))

    def _open(self) -> PoolManager:
        if self._pool is None:
            from ota.fetch.pool import make_pool  # noqa: PLC0415  # only an update needs it

            self._context = dated_context(self._settings.ca_file, self.clock)
            self._pool = make_pool(self._context)
        return self._pool


class Body:
    """A response: status, headers and a body to read in pieces; ``url`` is where redirects led to."""

    def __init__(self, url: str, response: BaseHTTPResponse) -> None:
        """Wrap urllib3's response to a request for ``url``."""
        self.url = url
        self._response = response
        self.status = response.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the response; the rest of the body stays unread."""
        self._response.close()

    def header(self, name: str) -> str | None:
        """Return a header's value, or None if it is missing."""
        return self._response.headers.get(name)

    def read(self, size: int) -> bytes:
        """Return what has arrived, at most ``size`` bytes; empty at the end of the body.

        Raises:
            FetchError: the connection broke or timed out.
        """
        with _faults(self.url):
            return self._response.read1(size, decode_content=False) or b""


def _plain(body: Body) -> Body:
    """Return a response; raises FetchError for a file that is compressed on the way."""
    encoding = body.header("Content-Encoding") or _PLAIN
    if body.status in _WITH_FILE and encoding.lower() != _PLAIN:
        body.close()
        text = f"{show_url(body.url)}: the answer is encoded as {show(encoding)}, asked for plain"
        raise FetchError(text)
    return body


def follow(url: str, location: str, left: int) -> str:
    """Return the target of a redirect from ``url``; ``left`` is how many more may be followed.

    Raises:
        ContentError: too many redirects, a target that is not http or https, or https to http.
    """
    try:
        target = urljoin(url, _as_sent(location))
        scheme, host = urlsplit(target).scheme, urlsplit(target).hostname
    except ValueError as error:
        raise _bad_redirect(f"{show_url(url)} leads to no URL") from error
    leads = f"{show_url(url)} leads to {show_url(target)}"
    if left <= 0:
        raise _bad_redirect(f"{leads}, one too many")
    if scheme not in {"http", "https"} or not host:
        raise _bad_redirect(f"{leads}, expected http or https")
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise _bad_redirect(f"{leads}, out of TLS")
    return target


def _as_sent(location: str) -> str:
    """Return a Location whose bytes are UTF-8, as of a file with a Chinese name; http.client reads each as Latin-1."""
    try:
        return location.encode("latin-1").decode()
    except UnicodeError:
        return location


def _bad_redirect(detail: str) -> ContentError:
    return ContentError("bad redirect", detail, OtaEvent.DOWNLOAD_FAIL)


def parse_retry_after(value: str | None, date: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for; None if it is missing or malformed.

    Args:
        value: the header: seconds, or an HTTP date (RFC 9110, 10.2.3).
        date: the same response's Date, since the server's dates are relative to the server's clock.
    """
    if value is None:
        return None
    if (seconds := _SECONDS.fullmatch(value)) is not None:
        return float(seconds[1])
    try:
        until, now = parsedate_to_datetime(value), parsedate_to_datetime(date or "")
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, or only one of them has a zone
        return None


@contextmanager
def _faults(url: str) -> Iterator[None]:
    from urllib3 import exceptions  # noqa: PLC0415  # only an update needs it

    try:
        yield
    except exceptions.LocationValueError as error:
        detail = f"{show_url(url)} ({describe(error)})"
        raise ContentError("bad URL", detail, OtaEvent.DOWNLOAD_FAIL) from error
    except (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        # ValueError: http.client raises it for some malformed responses.
        raise FetchError(f"{show_url(url)}: {describe(error)}") from error


def describe(error: BaseException) -> str:
    """Return a short one-line description of a library's exception."""
    from urllib3 import exceptions  # noqa: PLC0415  # only an update needs it

    refused = isinstance(error, exceptions.NewConnectionError)  # a subclass of urllib3's timeout
    if isinstance(error, exceptions.ConnectTimeoutError) and not refused:
        return "no connection in time"
    if isinstance(error, exceptions.TimeoutError) and not refused:
        return "no answer in time"
    text = str(error).rpartition("object at 0x")[2].partition(">")[2] or str(error)
    return show(text.strip(": ") or type(error).__name__, 160).strip('"')


def show_url(url: str) -> str:
    """Return a URL for a message, without user, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
        host = (parts.netloc or "").rpartition("@")[2]
    except ValueError:
        return "a URL that cannot be read"
    return show(f"{parts.scheme}://{host}{parts.path}", 200).strip('"')
