"""Who may ask the local API what; decided before a request's body is read.

- The socket is restricted by its file mode: everything.
- A port on 127.0.0.1 is open to every program: data points and status, as always. What speaks for the
  child (``POST``) needs the token.
- HTTPS on the home network: everything needs the token.
- The device page, and nothing else, is for browsers: it asks for a log-in itself (`agent.local.page`), and only
  its own files may send what it sends.
- Another web page has no business here. Its browser adds ``Origin`` or ``Sec-Fetch-Site`` to what the page
  sends, and a name of the page's choice as ``Host`` (DNS rebinding).
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping
from enum import Enum

from agent.local.names import host_label
from agent.local.page import PREFIX
from agent.local.web import App, Receive, Response, Scope, Send, headers_of
from wire.codes import Code

# "agent" is for curl --unix-socket, which needs some name.
ALLOWED_HOSTS = frozenset({"localhost", "127.0.0.1", "agent"})
# What routers and mDNS put behind a machine's name at home; a page's name has another ending.
HOME_DOMAINS = frozenset({"local", "lan", "home", "home.arpa", "internal", "fritz.box"})
_ANNOUNCED = re.compile("-[0-9a-f]{6}$")
_BEARER = "bearer "
# What the device page's script sends with all that changes something.
PAGE_HEADER = "x-story-page"


class Way(Enum):
    """How a request came in."""

    SOCKET = "the agent's socket"
    LOOPBACK = "a port on 127.0.0.1"
    NETWORK = "HTTPS"


def find_refusal(
    way: Way, method: str, headers: Mapping[str, str], token: str, name: str = ""
) -> tuple[Code, str] | None:
    """Return why a request is refused, None if it is not.

    Args:
        way: how it came.
        method: of HTTP.
        headers: names in small letters.
        token: the machine's; "": nobody has it.
        name: the machine's host name.
    """
    if (stranger := _find_foreign_host(way, headers, name)) is not None:
        return stranger
    if way is Way.SOCKET:
        return None
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        return Code.FORBIDDEN, "a web page may not use this"
    needs_token = way is Way.NETWORK or method not in {"GET", "HEAD", "PUT"}
    if needs_token and not has_token(headers, token):
        return Code.UNAUTHORIZED, "Authorization: expected Bearer and the token in local-token"
    return None


def find_page_refusal(
    way: Way, method: str, headers: Mapping[str, str], scheme: str, name: str = ""
) -> tuple[Code, str] | None:
    """Return why a request to the device page is refused, None if it is not; the page asks for the log-in.

    Args:
        way: how it came.
        method: of HTTP.
        headers: names in small letters.
        scheme: of the URL.
        name: the machine's host name.
    """
    if (stranger := _find_foreign_host(way, headers, name)) is not None:
        return stranger
    if way is Way.SOCKET:
        return None
    reads = method in {"GET", "HEAD"}
    # Whoever follows a link to the page sees it; the cookie does not come along (SameSite=Strict).
    follows = reads and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not follows:
        return Code.FORBIDDEN, "another web page may not use this"
    if headers.get("origin", own := f"{scheme}://{headers.get('host', '')}".lower()) != own:
        return Code.FORBIDDEN, "another web page may not use this"
    # No form can send it, and no script of another page may.
    if not reads and PAGE_HEADER not in headers:
        return Code.FORBIDDEN, f"{PAGE_HEADER}: missing, expected it from the page's own script"
    return None


def _find_foreign_host(way: Way, headers: Mapping[str, str], name: str) -> tuple[Code, str] | None:
    host = _host(headers)
    if way is not Way.NETWORK and host not in ALLOWED_HOSTS:
        return Code.BAD_REQUEST, f"Host: got {host[:64]!r}, expected 127.0.0.1 or localhost"
    if way is Way.NETWORK and not _is_at_home(host, name.lower()):
        expected = f"this machine's address, or {name or 'its name'}"
        return Code.BAD_REQUEST, f"Host: got {host[:64]!r}, expected {expected}"
    return None


def _host(headers: Mapping[str, str]) -> str:
    """Return the name or the address of ``Host``, without port and brackets."""
    host = headers.get("host", "").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_at_home(host: str, name: str) -> bool:
    """Return whether ``host`` is an address or a name of this machine, not one that a page has in DNS."""
    if host == "localhost" or (name and host == name):
        return True
    label, _, domain = host.rstrip(".").partition(".")
    # `host_label` adds the end of the network card's address to what is announced.
    ours = {name.partition(".")[0], host_label(name, "").lower()}
    if name and domain in HOME_DOMAINS and {label, _ANNOUNCED.sub("", label)} & ours:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def has_token(headers: Mapping[str, str], token: str) -> bool:
    """Return whether ``Authorization`` has the token."""
    given = headers.get("authorization", "")
    is_bearer = given[: len(_BEARER)].lower() == _BEARER
    return (
        bool(token)
        and is_bearer
        and hmac.compare_digest(given[len(_BEARER) :].strip().encode(), token.encode())
    )


class Gate:
    """The application behind it is asked only what `find_refusal` lets through."""

    def __init__(self, app: App, token: str) -> None:
        """Pass to ``app``; with an empty ``token`` nobody has it."""
        self._app = app
        self._token = token
        self._name = socket.gethostname()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = headers_of(scope)
        way, method, path = way_of(scope), scope["method"], scope["path"]
        if path == "/" or path.startswith(PREFIX):
            refusal = find_page_refusal(way, method, headers, scope["scheme"], self._name)
        else:
            refusal = find_refusal(way, method, headers, self._token, self._name)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        code, reason = refusal
        more = {"X-CoAP-Code": code.dotted}
        if code is Code.UNAUTHORIZED:
            more["WWW-Authenticate"] = "Bearer"
        text = f"{reason}\n"
        answer = Response(text, code.http_status, headers=more, media_type="text/plain")
        await answer(scope, receive, send)


def way_of(scope: Scope) -> Way:
    """Return how a request came in."""
    if scope.get("scheme") == "https":
        return Way.NETWORK
    return Way.SOCKET if scope.get("client") is None else Way.LOOPBACK
