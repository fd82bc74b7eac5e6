"""Which addresses a story may come from: decisions without I/O.

An order, a redirect or an entry of a stranger's list must not make the machine speak to what is in the
family's own network: a router, a camera, the agent's own sockets. An address is judged after the name
has been resolved, each time. Sources: the IANA registries of special-purpose addresses for IPv4 (RFC
6890) and IPv6, RFC 6052 (NAT64), the Fetch standard's list of ports that no browser opens.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import quote, unquote, urljoin, urlsplit

from machine.errors import RefusedError
from resources.playing.events import Kind, RefusedOrderError
from wire.entries import URL_BYTES
from wire.errors import FieldError, show
from wire.records import dataclass

# One for all that could tell a stranger what is in the family's network: an address that
# is not allowed, a closed port, a name that does not exist, no answer, no HTTP.
NOT_REACHED = "play: the address is not allowed or does not answer"
REDIRECTS_LIMIT = 5

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# All unicast addresses of the Internet are in the first; of these the others are refused: protocols
# (Teredo), documentation, 6to4.
_GLOBAL_6 = IPv6Network("2000::/3")
_REFUSED_6 = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# Addresses of IPv4 in IPv6: mapped ones, and those of a NAT64, by which a network without IPv4
# reaches all of it.
_WITH_IPV4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
_DEFAULT_PORTS = {"http": 80, "https": 443}
_BAD_PORTS = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513,
    514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720,
    1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
})  # fmt: skip
# RFC 3986: what may stand in a path and query as it is; "%" since most URLs are quoted already.
_PLAIN = "!#$%&'()*+,/:;=?@[]~"


class AddressError(RefusedOrderError):
    """An address that is not allowed or does not answer; only ``detail``, for the log, says which."""

    def __init__(self, detail: str) -> None:
        """Keep ``detail`` for the log; it holds no secret of a URL."""
        super().__init__(Kind.NO_NETWORK, NOT_REACHED)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Target:
    """An http(s) URL, taken apart.

    Attributes:
        tls: whether it is https.
        host: a name in ASCII (IDNA) or an address without brackets.
        port: 1 to 65535.
        path: path and query in ASCII, as the request line has them.
        login: the value of the Authorization header that the URL's user and password make, "" without.
    """

    tls: bool
    host: str
    port: int
    path: str
    login: str = ""

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL for a log, without user, query and fragment, which may hold secrets."""
        path = self.path.partition("?")[0]
        return show(f"http{'s' if self.tls else ''}://{self.authority}{path}", 200).strip('"')

    @property
    def url(self) -> str:
        """The URL without user and fragment."""
        return f"http{'s' if self.tls else ''}://{self.authority}{self.path}"


def parse_target(url: str) -> Target:
    """Take an http(s) URL apart.

    Raises:
        RefusedError: it is none; the message names what was expected, without the URL's secrets.
    """
    if len(url.encode("utf-8", "replace")) > URL_BYTES:
        raise RefusedError(f"play: got an address of {len(url)} characters, expected {URL_BYTES}")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = _host(parts.hostname or "")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        path = quote(parts.path or "/", safe=_PLAIN) + (
            "?" + quote(parts.query, safe=_PLAIN) if parts.query else ""
        )
    except ValueError as error:  # brackets, ports and names that are none
        raise RefusedError("play: the address cannot be read, expected an http(s) URL") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise RefusedError("play: expected an http(s) URL")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if port in _BAD_PORTS:
        raise AddressError(f"port {port} is not one of web servers")
    login = "Basic " + b64encode(f"{user}:{password}".encode()).decode() if user else ""
    return Target(parts.scheme == "https", host, port, path, login)


def _host(name: str) -> str:
    """Return a host's name in ASCII; raises ValueError."""
    if "%" in name and ":" not in name:
        raise ValueError("a percent sign in a host's name")
    if ":" in name:
        return name  # an address of IPv6, perhaps with a zone
    ascii_name = name.encode("idna").decode("ascii") if not name.isascii() else name
    if not all(c.isalnum() or c in "-._" for c in ascii_name):
        raise ValueError("a host's name with other characters")
    return ascii_name


def follow(target: Target, location: str) -> Target:
    """Return where a redirect leads; the login goes to the same server only.

    Raises:
        RefusedError: from https to http, or to no http(s) URL.
    """
    try:
        url = urljoin(target.url, location.strip())
    except ValueError as error:
        raise AddressError(f"{target.shown} leads to no URL") from error
    led = parse_target(url)
    if target.tls and not led.tls:
        raise AddressError(f"{target.shown} leads out of TLS to {led.shown}")
    same = (led.tls, led.host, led.port) == (target.tls, target.host, target.port)
    login = target.login if same else led.login
    return Target(led.tls, led.host, led.port, led.path, login)


def parse_networks(value: Iterable[object], field: str) -> tuple[Network, ...]:
    """Parse a list of networks ("192.168.1.0/24", "fd00::/8", "192.168.1.5").

    Raises:
        FieldError: a member is no network; ``field`` is the list's name.
    """
    networks: list[Network] = []
    for place, text in enumerate(value):
        try:
            if not isinstance(text, str):
                raise TypeError
            networks.append(ip_network(text))
        except (ValueError, TypeError) as error:
            expected = 'a network such as "192.168.1.0/24"'
            raise FieldError(f"{field}[{place}]", text, expected) from error
    return tuple(networks)


class Policy:
    """Judges addresses: those of the Internet are admitted, others only if a network lists them."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        """Admit addresses in ``networks`` too."""
        self._networks = tuple(networks)

    def admits(self, text: str) -> bool:
        """Return whether a connection to the address ``text``, of no name, may be opened."""
        try:
            address = ip_address(text)
        except ValueError:
            return False
        inner = _inner(address)
        if any(a in n for n in self._networks for a in {address, inner} if a.version == n.version):
            return True
        if isinstance(inner, IPv4Address):
            return not any(inner in network for network in _REFUSED_4)
        return inner in _GLOBAL_6 and not any(inner in network for network in _REFUSED_6)


def _inner(address: Address) -> Address:
    """Return the address of IPv4 that one of IPv6 stands for, else itself."""
    if isinstance(address, IPv6Address) and any(address in network for network in _WITH_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
