"""The rules of the authorization page (open API 1.1; RFC 6749, implicit grant). No I/O.

A response goes only to a redirect URI that is registered for the app, compared as a whole: a
redirect to any other address would leak the user's token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from urllib.parse import quote, urlsplit

from wire.errors import FieldError

# The document's request has no slash at the end, its response has one; both are accepted.
DOCUMENT_REDIRECT = "http://iam.iot.baidu.com/v1/iam/oauth/receive_implicit_token/"
REDIRECT_LIMIT = 1024
# A private-use scheme has a dot (RFC 8252, 7.1), so javascript: and data: do not match.
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
# Stands for every scope (open API 1.1); the document's example uses it.
ALL_SCOPE = "allScope"


class Scope(StrEnum):
    """A permission that a user can grant an app; the document names only the first."""

    ALL = ALL_SCOPE
    ACCOUNT = "account"
    """Read the user's name (1.3)."""
    DEVICE = "device"
    """Bind, unbind, rename and list devices (2), and erase what is stored of them."""
    CONTROL = "control"
    """Read the self-description, read and set data points (3)."""
    DATA = "data"
    """Read what devices reported (4), and all that is stored of them."""
    OTA = "ota"
    """See and order updates (5)."""


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes without duplicates; raises FieldError for an unknown one."""
    known = {scope.value for scope in Scope}
    asked = list(dict.fromkeys(scopes))
    for scope in asked:
        if scope not in known:
            raise FieldError("scope", scope, f"of {', '.join(sorted(known))}")
    return asked


def grantable(asked: str, allowed: Sequence[str]) -> list[str]:
    """Return the scopes that a request asks for (``a,b``); ``""`` means all that the app may have.

    Raises:
        FieldError: a scope is unknown, or the app is not registered for it.
    """
    names = check_scopes(part.strip() for part in asked.split(",") if part.strip())
    for name in names:
        if not covers(allowed, name):
            raise FieldError("scope", name, f"not more than the app has: {', '.join(allowed)}")
    return names or list(allowed)


def covers(granted: Iterable[str], scope: str) -> bool:
    """Return whether the granted scopes include ``scope``."""
    found = set(granted)
    return ALL_SCOPE in found or scope in found


def check_redirect_uri(uri: str) -> str:
    """Return ``uri`` if an app may register it; raises FieldError."""
    expected = "an http(s) URL, or a URI of an app's own scheme such as com.example:/x, no fragment"
    try:
        parts = urlsplit(uri)
        good = (
            bool(parts.hostname)
            if parts.scheme in {"http", "https"}
            else bool(_PRIVATE_SCHEME.fullmatch(parts.scheme))
        )
        origin_is_plain = parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError as error:
        raise FieldError("redirect_uri", uri, expected) from error
    clean = uri.isascii() and uri.isprintable() and not set(uri) & set(" \"'<>\\^`{|}#;,")
    if not (good and clean and origin_is_plain and len(uri) <= REDIRECT_LIMIT):
        raise FieldError("redirect_uri", uri, expected)
    return uri


def check_web_origin(text: str) -> str:
    """Return the origin of an app's web pages as a browser writes it (RFC 6454, 6.2); raises FieldError."""
    expected = "https://HOST or https://HOST:PORT; http:// for localhost and 127.0.0.1 alone"
    try:
        parts = urlsplit(text)
        port, host = parts.port, (parts.hostname or "")
    except ValueError as error:
        raise FieldError("web_origin", text, expected) from error
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    shown = f"[{host}]" if ":" in host else host
    made = f"{parts.scheme}://{shown}" + (f":{port}" if port not in {None, usual} else "")
    plain = parts.scheme == "http" and host not in {"localhost", "127.0.0.1", "::1"}
    if usual is None or plain or text.lower().rstrip("/") != made or not _HOST.fullmatch(host):
        raise FieldError("web_origin", text, expected)
    return made


def registered(uri: str, known: Iterable[str]) -> str | None:
    """Return the registered URI that matches a request's, or None.

    The comparison is exact, except for one slash at the end, where the document is inconsistent.
    The response goes to the registered URI.
    """
    return next((one for one in known if one.removesuffix("/") == uri.removesuffix("/")), None)


def origin(uri: str) -> str:
    """Return a URI's Content-Security-Policy source: scheme, host and port, or ``scheme:``."""
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"}:
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc}"


def answer_uri(redirect: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Return the redirect URI with the response's parameters, in order, as its fragment."""
    pairs = (f"{name}={quote(value, safe=',')}" for name, value in parameters)
    return f"{redirect}#{'&'.join(pairs)}"
