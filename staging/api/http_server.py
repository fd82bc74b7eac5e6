"""uvicorn in the event loop that it shares with the device gateway, with deadlines and limits of ours.

uvicorn waits for ever for the first request of a connection, for a body, and for a peer that stops reading. Here
`staging.doorman` accepts, and a look each second ends what has stopped. One address may hold `CONNECTIONS_EACH`; one more
takes the place of its oldest that asks nothing, so that whoever opens many keeps nobody else from asking. Where all places
are taken, those go that wait for their peer, of addresses first from which nobody ever proved who they are: thousands of
addresses that ask, send or read slowly keep nobody out.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from staging.api.admission import ADMIT
from staging.crowd import KNOWN_LIMIT, DoorLimits, network_of
from staging.doorman import Doorman, Settle
from staging.proxies import TrustedProxies
from wire.errors import show

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _HttpProtocol
else:
    # With the package httptools it is its parser, else h11's.
    _HttpProtocol = AutoHTTPProtocol

# How long a shutdown waits for API requests; the whole shutdown must take less than 5 s.
GRACE_SECONDS = 2
# Seconds for which a connection that asks nothing is kept: longer than the five after which many libraries of
# clients drop one, or a request would meet its end.
KEEP_SECONDS = 9
HTTP_CONCURRENCY = 1000
# Open ones, those that have sent nothing yet among them.
HTTP_OPEN = 1500
# Places that are made at once where all are taken by strangers who wait: to look at all takes half a millisecond.
ROOM_AT_ONCE = 16
# Of one address: a school behind one router, or a benchmark.
CONNECTIONS_EACH = 256
# Seconds for a request's line and headers; a phone on a weak network sends them in one or two packets.
HEAD_SECONDS = 10.0
# Bytes of them: the longest header of the API has 128, a browser's cookies a few thousand.
HEAD_LIMIT = 64 * 1024
# Seconds that a body may take, and bytes a second from then on.
BODY_SECONDS, BODY_RATE = 20.0, 1024
# Seconds for which a peer may take nothing of an answer.
STALL_SECONDS = 60.0
SWEEP_SECONDS = 1.0
REFUSAL_SECONDS = 0.2
HANDSHAKE_SECONDS, SHUTDOWN_SECONDS = 10.0, 1.0
# The first byte of a TLS record with a handshake (RFC 8446, 5.1).
_TLS_HANDSHAKE = b"\x16"
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 5\r\n"
    b"content-length: 42\r\nconnection: close\r\n\r\ntoo many connections are open at this time"
)

_log = logging.getLogger(__name__)


class ApiServer(uvicorn.Server):
    """Sets ``accepting`` when it accepts, and leaves signals to us."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tls: ssl.SSLContext | None = None,
        proxies: TrustedProxies | None = None,
    ) -> None:
        """Serve ``app``, by TLS too if there is ``tls``; ``proxies`` bring many people's requests."""
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # `staging.proxies` reads them
                ws="none",
                # `_make_room` counts: uvicorn would count those as well that have just been ended.
                limit_concurrency=None,
                timeout_keep_alive=KEEP_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.accepting = asyncio.Event()
        self._tls = tls
        self._proxies = proxies or TrustedProxies()
        limits = DoorLimits(HTTP_OPEN, silent=HTTP_OPEN - HTTP_CONCURRENCY, begun_each=64)
        self._doorman = Doorman("API port", self._take, limits, exempt=self._proxies.trusts)
        self._sweeping: asyncio.TimerHandle | None = None
        self._known: OrderedDict[str, None] = OrderedDict()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting on the one listening socket, then set ``accepting``."""
        await self.lifespan.startup()
        self.servers = []
        for listener in sockets or []:
            self._doorman.open(listener)
        self._sweep_later()
        self.started = True
        self.accepting.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end the connections when their requests are answered."""
        self._doorman.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await super().shutdown(sockets)

    async def _take(self, sock: socket.socket, settle: Settle) -> None:
        door = _Door(self._make_room, self._admit, self._known)
        served = _Served(door, self.config, self.server_state, self.lifespan.state)
        secure = self._tls is not None and _begins_tls(sock)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: served, sock, **(self._tls_words() if secure else {})
            )
        except (OSError, ssl.SSLError) as error:
            _log.info("API port: a connection failed: %s", show(str(error)))
            return
        if not served.made:
            return  # asyncio takes a reset in the handshake for its end
        settle()
        await served.closed.wait()

    def _tls_words(self) -> dict[str, Any]:
        return {
            "ssl": self._tls,
            "ssl_handshake_timeout": HANDSHAKE_SECONDS,
            "ssl_shutdown_timeout": SHUTDOWN_SECONDS,
        }

    def _admit(self, network: str) -> None:
        """Remember an address from which somebody proved who it is; those that did so longest ago are forgotten."""
        self._known[network] = None
        self._known.move_to_end(network)
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)

    def _make_room(self, new: _Served) -> bool:
        """Return whether a new connection may stay; others that wait for their peer may have to go for it."""
        if len(self.server_state.connections) <= CONNECTIONS_EACH:
            return True
        everybody = [each for each in self._served() if each is not new and not each.is_ending]
        mine = [each for each in everybody if each.network == new.network]
        is_proxy = new.client is not None and self._proxies.trusts(new.client[0])
        if not is_proxy and len(mine) >= CONNECTIONS_EACH:
            return _end_oldest_idle(mine)
        if len(self.server_state.tasks) >= HTTP_OPEN:
            return False  # of connections that went meanwhile
        return len(everybody) < HTTP_CONCURRENCY - 1 or _end_waiting(everybody)

    def _served(self) -> Iterable[_Served]:
        return (each for each in self.server_state.connections if isinstance(each, _Served))

    def _sweep_later(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for each in list(self._served()):
            if each.is_stuck(now):
                each.end()
        self._sweep_later()


def _begins_tls(sock: socket.socket) -> bool:
    try:
        return sock.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE
    except OSError:  # it has gone already, which whoever reads it will see
        return False


def _end_oldest_idle(connections: Iterable[_Served]) -> bool:
    idle = [each for each in connections if each.is_idle]
    if not idle:
        return False
    min(idle, key=lambda each: each.made_at).end()
    return True


def _end_waiting(connections: Iterable[_Served]) -> bool:
    """End the oldest that wait for their peer, one where only known ones do; return whether there was any."""
    waiting = [each for each in connections if each.waits_for_peer]
    strangers = [each for each in waiting if not each.is_known]
    # The newest may be about to ask.
    ended = heapq.nsmallest(
        ROOM_AT_ONCE if strangers else 1, strangers or waiting, key=lambda each: each.made_at
    )
    for each in ended:
        each.end()
    return bool(ended)


@dataclass(frozen=True, slots=True)
class _Door:
    """What a connection asks of its server: whether it may stay, and which addresses are known."""

    may_stay: Callable[[_Served], bool]
    admit: Callable[[str], None]
    known: Collection[str]


class _Served(_HttpProtocol):
    """One connection, which knows how long it has been in its present state."""

    def __init__(self, door: _Door, *uvicorns: Any) -> None:
        super().__init__(*uvicorns)
        self._door = door
        self.app_state = {**self.app_state, ADMIT: self._admit}
        self.closed = asyncio.Event()
        self.made = self.refused = self.is_ending = False
        self.is_known = False
        """Whether somebody proved who it is, here or before from its address."""
        self.network = ""
        self.made_at = self.loop.time()
        # The request or the answer that was looked at last, since when, and how much had come or was unsent.
        self._seen: tuple[object, str] = (None, "")
        self._since = self.made_at
        self._unsent = 0
        self._head = self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Stay if there is room."""
        super().connection_made(transport)
        self.made = True
        if self.client is not None:
            self.network = network_of(self.client[0])
            self.is_known = self.network in self._door.known
        if not self._door.may_stay(self):
            self.refused = True
            transport.write(_BUSY)
            # Not at once: what has come already would make of it a reset, which the peer sees in its place.
            self.loop.call_later(REFUSAL_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the doorman that it is over."""
        super().connection_lost(exc)
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        """Read, and end a request whose head has no end."""
        if self.refused:
            return
        before, idle = getattr(self, "cycle", None), self.is_idle
        super().data_received(data)
        if self.cycle is not before:
            self._head, self._received = 0, len(data)
        elif not idle:
            self._received += len(data)
        else:
            self._head += len(data)
            if self._head > HEAD_LIMIT:
                self.end()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        # uvicorn has None there before the first one, which its types do not say.
        cycle = getattr(self, "cycle", None)
        return cycle is None or bool(cycle.response_complete)

    @property
    def waits_for_peer(self) -> bool:
        """Whether its peer must do something, to ask, to send or to read; else it is our turn."""
        return self._phase() != "work"

    def _admit(self) -> None:
        self.is_known = True
        self._door.admit(self.network)

    def end(self) -> None:
        """Drop the connection."""
        self.is_ending = True
        self.transport.abort()

    def is_stuck(self, now: float) -> bool:
        """Return whether its present state has lasted too long; asked each second."""
        phase = self._phase()
        seen = (getattr(self, "cycle", None), phase)
        unsent = self.transport.get_write_buffer_size()
        if seen != self._seen or (phase == "answer" and unsent != self._unsent):
            self._seen, self._since = seen, now
        self._unsent = unsent
        waited = now - self._since
        match phase:
            case "head":
                return waited > HEAD_SECONDS
            case "body":
                return waited > BODY_SECONDS + self._received / BODY_RATE
            case "answer":
                return unsent > 0 and waited > STALL_SECONDS
            case _:
                return False

    def _phase(self) -> str:
        if self.is_idle:
            # A long answer goes out for as long as its peer takes something of it, also when all of it is written.
            return "answer" if self.transport.get_write_buffer_size() else "head"
        if self.cycle.more_body and not self.flow.read_paused:
            return "body"
        return "answer" if self.flow.write_paused else "work"
