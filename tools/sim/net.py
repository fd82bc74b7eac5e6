"""The network: names, addresses, connections, and all that happens to them.

A connection delivers in order, each at its own pace: what two connections carry may come in another order
than it was sent. A lost segment comes later. A path that is down swallows everything without a word; what
was sent is delivered when it is up again before TCP's patience is over. TLS is not computed: a handshake takes
its round trips and may break, and has the certificate that the server was given.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tools.sim.life import Life, current
from tools.sim.loopback import Loopback
from tools.sim.sockets import Pair, SimSocket, SimTransport, Source

# Seconds until a connect, and until sent bytes that nobody acknowledges, fail without an option of the socket's.
CONNECT_SECONDS = 130.0
HANDSHAKE_SECONDS = 60.0


def untrusted() -> ssl.SSLCertVerificationError:
    """Return what a handshake ends with at a captive portal, with the words that OpenSSL gives it."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    error.verify_code, error.verify_message = 18, "self-signed certificate"
    return error


@dataclass(slots=True)
class Path:
    """How one machine reaches the others.

    Attributes:
        latency: seconds one way, the least and the most.
        loss: the part of segments that come late, after a retransmission.
        up: whether anything passes.
        names: what the name server does: "answers", "fails", "hangs", "has dead addresses".
        refused: whether the server's port refuses connections.
        portal: whether a captive portal answers in the cloud's place.
        proxied: whether a proxy before the cloud acknowledges all, so that TCP finds no dead end behind it.
    """

    latency: tuple[float, float] = (0.01, 0.06)
    loss: float = 0.0
    up: bool = True
    names: str = "answers"
    refused: bool = False
    portal: bool = False
    proxied: bool = False
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def set_up(self, *, up: bool) -> None:
        """Cut the path, or let it pass again."""
        self.up = up
        if up:
            waiting, self.waiting = self.waiting, []
            for go_on in waiting:
                go_on()


class Asks:
    """Counts what is asked in a minute."""

    def __init__(self) -> None:
        """Have none."""
        self._times: deque[float] = deque()
        self.most = 0
        """In the worst minute."""

    def note(self, now: float) -> None:
        """Count one."""
        self._times.append(now)
        while self._times[0] < now - 60.0:
            self._times.popleft()
        self.most = max(self.most, len(self._times))


class Network:
    """All paths and connections of one simulation."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: random.Random) -> None:
        """Begin with nothing; ``rng`` decides about each segment."""
        self.loop = loop
        self.rng = rng
        self.local = Loopback(loop)
        self.paths: dict[str, Path] = {}
        self.listeners: dict[tuple[str, int], SimSocket] = {}
        self.hosts: dict[str, list[str]] = {}
        self.strangers: set[str] = set()
        """Names of servers that are neither the cloud's nor a broker's: how often they are looked up has a count of its own."""
        self.pairs: list[Pair] = []
        self.chain_end = 0.0
        self.asks = Asks(), Asks(), Asks()
        """How often machines looked a name up, and asked for packages, and how often the cloud looked a name up."""
        self.asks_for_strangers = Asks()
        """How often machines looked the name of a server of stories up."""
        self._watchers: dict[int, tuple[Callable[..., Any], Sequence[Any], Any]] = {}
        self._ports = iter(range(40000, 10**9))

    def path(self, name: str) -> Path:
        """Return the path of a machine, by its name."""
        found = self.paths.get(name)
        if found is None:
            found = self.paths[name] = Path()
        return found

    def delay(self, path: Path) -> float:
        """Return how long the next segment takes."""
        seconds = self.rng.uniform(*path.latency)
        wait = 0.2
        while path.loss and self.rng.random() < path.loss and wait < 20:
            seconds += wait
            wait *= 2
        return seconds

    # What the event loop asks for.

    def watch(self, fd: Any, callback: Callable[..., Any], args: Sequence[Any]) -> None:
        """Call when a socket, by its number, has something; those of this machine's own have nothing."""
        import contextvars  # noqa: PLC0415  # a name of one line

        number = fd if isinstance(fd, int) else fd.fileno()
        self._watchers[number] = (callback, args, contextvars.copy_context())
        sock = SimSocket.by_number.get(number)
        if sock is not None and sock.has_something:
            self.tell(sock)

    def unwatch(self, fd: Any) -> bool:
        """Call no more."""
        return self._watchers.pop(fd if isinstance(fd, int) else fd.fileno(), None) is not None

    def tell(self, sock: Source) -> None:
        """Say that a socket has something."""
        found = self._watchers.get(sock.fileno())
        if found is not None:
            callback, args, context = found
            self.loop.call_soon(callback, *args, context=context)

    async def look_up(self, host: Any, port: Any) -> list[Any]:
        """Return what getaddrinfo does; raises socket.gaierror."""
        path = self._own_path()
        life = current()
        kind = 2 if life is not None and life.name == "cloud" else 0
        asks = self.asks_for_strangers if host in self.strangers else self.asks[kind]
        asks.note(self.loop.time())
        await asyncio.sleep(self.delay(path))
        if path.names == "hangs" or not path.up:
            await asyncio.sleep(30.0)
        if path.names in {"fails", "hangs"} or not path.up:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        name = str(host).removesuffix(".")
        if name not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        live = [(socket.AF_INET, (address, port)) for address in self.hosts[name]]
        dead = [(socket.AF_INET6, ("fd00::dead", port, 0, 0)), (socket.AF_INET, ("10.9.9.2", port))]
        found: list[Any] = [*dead, *live] if path.names == "has dead addresses" else list(live)
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]

    def _own_path(self) -> Path:
        life = current()
        return self.path("" if life is None else life.name)

    async def connect(self, sock: SimSocket, address: tuple[Any, ...]) -> None:
        """Connect; raises OSError."""
        life, path = current(), self._own_path()
        await asyncio.sleep(self.delay(path))
        listener = self.listeners.get((str(address[0]), int(address[1])))
        known = any(str(address[0]) in found for found in self.hosts.values())
        if not path.up or not known:
            await asyncio.sleep(CONNECT_SECONDS)
            raise TimeoutError(110, "Connection timed out")
        if listener is None or listener.closed or path.refused:
            raise ConnectionRefusedError(111, "Connection refused")
        pair = Pair(self, path, life)
        sock.pair, sock.peer = pair, (str(address[0]), int(address[1]))
        other = SimSocket(sock.family)
        other.pair, other.peer = pair, (f"10.0.0.{len(self.paths) % 250}", next(self._ports))
        pair.client, pair.server = sock, other
        self.pairs = [each for each in self.pairs if not each.over]
        self.pairs.append(pair)
        listener.queue.append(other)
        self.tell(listener)
        await asyncio.sleep(self.delay(path))

    async def begin(
        self,
        sock: SimSocket,
        protocol: asyncio.BaseProtocol,
        tls: Any,
        host: str | None,
        *,
        is_client: bool,
    ) -> SimTransport:
        """Do one end's part of a handshake, and begin to carry; raises OSError."""
        pair = sock.pair
        if pair is None:
            raise OSError(107, "Transport endpoint is not connected")
        if is_client and pair.path.portal:
            await asyncio.sleep(self.delay(pair.path))
            raise untrusted()
        del host
        transport = SimTransport(pair, sock, protocol, self._tls_of(tls), is_client=is_client)
        if tls is None:  # it begins by `secure`
            protocol.connection_made(transport)
            return transport
        await pair.shake_hands(transport)
        transport.begin()
        return transport

    async def secure(self, sock: SimSocket, protocol: asyncio.BaseProtocol) -> SimTransport:
        """Begin TLS at the server's end of a connection; raises OSError."""
        if sock.pair is None:
            raise OSError(107, "Transport endpoint is not connected")
        transport = SimTransport(sock.pair, sock, protocol, self._tls_of(sock), is_client=False)
        await sock.pair.shake_hands(transport)
        transport.go_on()
        return transport

    def _tls_of(self, context: Any) -> Any:
        return None if context is None else TlsObject(self.chain_end)

    # Faults.

    def of(self, name: str) -> list[Pair]:
        """Return the open connections of a machine."""
        self.pairs = [pair for pair in self.pairs if not pair.over]
        return [pair for pair in self.pairs if pair.life is not None and pair.life.name == name]

    def reset(self, name: str) -> None:
        """Cut all connections of a machine with an RST to both ends."""
        for pair in self.of(name):
            pair.reset_both()

    def half_open(self, name: str, *, server_forgets: bool) -> None:
        """Let the other end, or this one, know nothing of the connections any more, without a word."""
        for pair in self.of(name):
            pair.blackhole(server_forgets=server_forgets)

    def forget(self, name: str) -> None:
        """Let a router forget the connections of a machine: that is told so with its next segment, the other end never."""
        for pair in self.of(name):
            pair.blackhole(server_forgets=False)
            client = pair.ends.get(True)
            if client is not None:
                client.lose(ConnectionResetError(104, "Connection reset by peer"))

    def dead_since(self, name: str) -> float | None:
        """Return since when a connection of a machine carries nothing, and one of its ends believes in it."""
        times = [
            pair.dead_since
            for pair in self.pairs
            if pair.dead_since is not None and not pair.over
            and pair.life is not None and pair.life.name == name and pair.is_believed_in
        ]  # fmt: skip
        return min(times, default=None)

    def killed(self, life: Life, *, power: bool) -> None:
        """End what a process had open: by its kernel, or with its kernel."""
        for pair in [pair for pair in self.pairs if pair.life is life or pair.server_life is life]:
            if power:
                pair.vanish(life)
            else:
                pair.reset_by(life)

    def close_all(self) -> None:
        """End all, after a seed."""
        for pair in self.pairs:
            pair.over = True
        self.pairs.clear()
        self._watchers.clear()
        SimSocket.by_number.clear()


class TlsObject:
    """What `base.tls_dates` asks of a TLS connection."""

    def __init__(self, end: float) -> None:
        """Have a certificate that ends at ``end``, Unix seconds."""
        self._sslobj = Chain(end)
        self.context = self

    def get_ca_certs(self, *, binary_form: bool = False) -> list[bytes]:
        """Return no other certificates."""
        del binary_form
        return []


class Chain:
    """A chain of one certificate."""

    def __init__(self, end: float) -> None:
        self._end = end

    def get_verified_chain(self) -> list[Chain]:
        """Return the chain."""
        return [self]

    def get_unverified_chain(self) -> list[Chain]:
        """Return no other."""
        return []

    def get_info(self) -> dict[str, str]:
        """Return the dates as OpenSSL writes them."""
        end = datetime.fromtimestamp(self._end, UTC)
        return {
            "notBefore": "Nov  1 00:00:00 2026 GMT",
            "notAfter": end.strftime("%b %d %H:%M:%S %Y GMT"),
        }
