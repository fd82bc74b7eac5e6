"""What an HTTP response means for a download; no I/O."""

from __future__ import annotations

import json
import re
from enum import Enum, auto

from ota.errors import ContentError, FetchError, NoDeltaError
from ota.fetch.retry import RetryLaterError
from ota.fetch.web import Body, parse_retry_after, show_url
from wire.errors import show
from wire.ota import OtaEvent

# Temporary errors (RFC 9110): request timeout, too early, too many requests, 5xx.
PASSING_STATUS = frozenset({408, 425, 429}) | frozenset(range(500, 600))
# What networks answer before their log-in, and no server of packages: a success without a file.
_NO_FILE = frozenset({204, 205})
# Types of what is for people or for their browsers; of a package only where somebody has set up a server badly.
_PAGE_TYPES = (
    "text/",
    "application/xhtml",
    "application/xml",
    "application/json",
    "application/javascript",
)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class BodyUse(Enum):
    """What an HTTP response means for the bytes that are already on disk."""

    APPEND = auto()
    """The body is the rest of the file."""
    WHOLE = auto()
    """The body is the whole file; its first bytes are on disk already."""
    ASK_AGAIN = auto()
    """The body is of no use; request the whole file."""


def check_retry_after(body: Body) -> None:
    """Honour a Retry-After header of a temporary error: raises RetryLaterError."""
    if body.status in PASSING_STATUS:
        seconds = parse_retry_after(body.header("Retry-After"), body.header("Date"))
        if seconds is not None:
            raise RetryLaterError(f"the server answered HTTP {body.status}", seconds)


def looks_like_page(first: bytes) -> bool:
    """Return whether a body that begins with ``first`` is a page for people; no metadata or package is."""
    return first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def looks_like_metadata(first: bytes) -> bool:
    """Return whether a body that begins with ``first`` may be JSON, as TUF metadata is: else a network has answered."""
    return first.lstrip()[:1] in {b"{", b"[", b""}


def is_metadata(whole: bytes) -> bool:
    """Return whether a body is a whole document with signatures; whose they are, python-tuf checks."""
    try:
        found = json.loads(whole)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= {"signed", "signatures"}


def check_page(body: Body, first: bytes, length: int) -> None:
    """Refuse a web page in place of a file of ``length`` bytes: a hotel's log-in page passes by itself.

    Raises:
        FetchError: the body is empty, begins as a page does, or says to be a text and has another length.
    """
    if body.status != 200:
        return
    size = body.header("Content-Length")
    if size == "0":
        raise FetchError(f"{show_url(body.url)}: an empty answer")
    is_page_type = (body.header("Content-Type") or "").lower().startswith(_PAGE_TYPES)
    if looks_like_page(first) or (is_page_type and size != str(length)):
        raise page_error(body.url)


def page_error(url: str) -> FetchError:
    """Return the error for a web page in place of what ``url`` names."""
    return FetchError(f"{show_url(url)}: a web page came instead (does the network want a log-in?)")


def interpret(
    status: int, content_range: str | None, content_length: str | None, here: int, length: int
) -> BodyUse:
    """Interpret the response to a request for the bytes from ``here`` on, of ``length`` in total.

    Raises:
        ContentError: a permanent refusal, or a file of another length.
        FetchError: a temporary error.
    """
    if status == 206 and here:
        return _interpret_range(content_range, here, length)
    if status == 200:
        if content_length is not None and content_length != str(length):
            detail = f"the server's file has {show(content_length)} bytes, {length} are signed"
            raise ContentError("wrong length", detail, OtaEvent.IMAGE_INVALID)
        return BodyUse.WHOLE
    if status == 416 and here:
        return BodyUse.ASK_AGAIN
    if status in PASSING_STATUS | _NO_FILE or status == 206:
        raise FetchError(f"the server answered HTTP {status}")
    raise ContentError("refused by the server", f"HTTP {status}", OtaEvent.DOWNLOAD_FAIL)


def _interpret_range(content_range: str | None, here: int, length: int) -> BodyUse:
    match = _CONTENT_RANGE.fullmatch(content_range or "")
    if match is None:
        return BodyUse.ASK_AGAIN
    if int(match[3]) != length:
        detail = f"the server's file has {match[3]} bytes, {length} are signed"
        raise ContentError("wrong length", detail, OtaEvent.IMAGE_INVALID)
    # A server may send less at once than was asked for (RFC 9110 section 15.3.7); the next request goes on behind it.
    fits = int(match[1]) == here <= int(match[2]) < length
    return BodyUse.APPEND if fits else BodyUse.ASK_AGAIN


def check_range(status: int, content_range: str | None, first: int, last: int, length: int) -> None:
    """Check that a response holds exactly the requested bytes ``first`` to ``last``.

    Raises:
        ContentError: a permanent refusal, or a file of another length.
        NoDeltaError: the server does not support ranges.
        FetchError: a temporary error.
    """
    if status == 206:
        match = _CONTENT_RANGE.fullmatch(content_range or "")
        if match is not None and int(match[3]) != length:
            detail = f"the server's file has {match[3]} bytes, {length} are signed"
            raise ContentError("wrong length", detail, OtaEvent.IMAGE_INVALID)
        if match is None or (int(match[1]), int(match[2])) != (first, last):
            detail = f"asked for bytes {first} to {last}, got {show(content_range)}"
            raise NoDeltaError(f"the server does not keep to ranges: {detail}")
    elif status in {200, 416}:
        raise NoDeltaError(f"the server does not give ranges (HTTP {status})")
    elif status in PASSING_STATUS | _NO_FILE:
        raise FetchError(f"the server answered HTTP {status}")
    else:
        raise ContentError("refused by the server", f"HTTP {status}", OtaEvent.DOWNLOAD_FAIL)
