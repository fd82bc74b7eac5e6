"""Sockets and connections of the simulated network, as asyncio's streams and the gateway use them."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import socket
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tools.sim.life import Life, current

if TYPE_CHECKING:
    from tools.sim.net import Network, Path

# Seconds that TCP sends again what nobody acknowledges, without an option of the socket's.
PATIENCE = 900.0
# Seconds for the other side to take part in the end of TLS, as `agent.link.opening` and the gateway ask.
GOODBYE = 2.0
# Seconds in which a proxy gives on what it holds before it passes an end on.
DRAIN_SECONDS = 2.0
real_socket = socket.socket


class Source(Protocol):
    """What an event loop waits for."""

    def fileno(self) -> int:
        """Return a number that no file has."""

    @property
    def has_something(self) -> bool:
        """Whether reading would not wait."""


class SimSocket:
    """A socket of no system."""

    by_number: ClassVar[dict[int, Source]] = {}
    numbers: ClassVar[Any] = itertools.count(1_000_000)

    def __init__(self, family: int = socket.AF_INET, *_: Any, **__: Any) -> None:
        """Be neither bound nor connected."""
        self.family, self.type, self.proto = family, socket.SOCK_STREAM, 6
        self.number = next(self.numbers)
        self.by_number[self.number] = self
        self.pair: Pair | None = None
        self.peer: tuple[str, int] = ("", 0)
        self.name: tuple[str, int] = ("10.0.0.1", 0)
        self.queue: list[SimSocket] = []
        self.options: dict[tuple[int, int], Any] = {}
        self.closed = False
        self.heard = self.was_reset = False

    def fileno(self) -> int:
        """Return a number that no file has."""
        return -1 if self.closed else self.number

    @property
    def has_something(self) -> bool:
        """Whether reading would not wait."""
        return bool(self.queue) or self.heard or self.was_reset

    def accept(self) -> tuple[SimSocket, tuple[str, int]]:
        """As socket.accept, which does not wait."""
        if not self.queue:
            raise BlockingIOError
        found = self.queue.pop(0)
        return found, found.peer

    def recv(self, _size: int, _flags: int = 0) -> bytes:
        """Return the first byte of a handshake, which is only looked at."""
        if self.was_reset:
            raise ConnectionResetError(104, "Connection reset by peer")
        return b"\x16"

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Note an option."""
        self.options[level, option] = value

    def getsockopt(self, level: int, option: int, *_: Any) -> Any:
        """Return a noted option, 0 for others."""
        return self.options.get((level, option), 0)

    @property
    def patience(self) -> float:
        """How long sent bytes may stay unacknowledged, in seconds."""
        told = self.options.get((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        return PATIENCE if told is None else told / 1000

    def getpeername(self) -> tuple[str, int]:
        """Return the other end's address."""
        return self.peer

    def getsockname(self) -> tuple[str, int]:
        """Return the own address."""
        return self.name

    def setblocking(self, _flag: bool) -> None:  # noqa: FBT001  # as the library's
        """Never block anyway."""

    def close(self) -> None:
        """Close; without a transport the other end hears of it."""
        if not self.closed:
            self.closed = True
            self.by_number.pop(self.number, None)
            if self.pair is not None:
                self.pair.socket_closed(self)


class Pair:
    """One connection with its two ends."""

    def __init__(self, net: Network, path: Path, life: Life | None) -> None:
        """Belong to ``life``, which connects over ``path``."""
        self.net, self.path, self.life = net, path, life
        self.server_life: Life | None = None
        self.client: SimSocket | None = None
        self.server: SimSocket | None = None
        self.ends: dict[bool, SimTransport] = {}
        self.deaf: set[bool] = set()
        """The ends, by whether they are the client's, to which nothing comes any more."""
        self.over = False
        self.dead_since: float | None = None
        """Since when nothing comes through, without a word to an end."""
        self._ready = asyncio.Event()
        self._failed: OSError | None = None

    async def shake_hands(self, transport: SimTransport) -> None:
        """Do an end's part; raises OSError."""
        delay = self.net.delay
        self.ends[transport.is_client] = transport
        if transport.is_client:
            await self.net_wait(delay(self.path))
            server = self.server
            if server is not None and not server.closed:
                server.heard = True
                self.net.tell(server)
            await self._ready.wait()
            await self.net_wait(delay(self.path))
        else:
            self.server_life = current()
            await self.net_wait(delay(self.path) + delay(self.path))
            self._ready.set()
        if self._failed is not None or self.over:
            raise self._failed or ConnectionResetError(104, "Connection reset by peer")

    async def net_wait(self, seconds: float) -> None:
        """Let a segment pass: later, if the path is down."""
        await asyncio.sleep(seconds)
        while not self.path.up and not self.over:
            passed = asyncio.Event()
            self.path.waiting.append(passed.set)
            await passed.wait()

    def socket_closed(self, sock: SimSocket) -> None:
        """Hear that a socket was closed; before its handshake the other end has an error."""
        if sock is self.server and False in self.ends:
            return
        if sock is self.client and True in self.ends and self.ends[True].begun:
            return
        self.fail(ConnectionResetError(104, "Connection reset by peer"))

    def fail(self, error: OSError) -> None:
        """End a handshake that is under way."""
        self._failed = self._failed or error
        self._ready.set()
        server = self.server
        if server is not None and not server.closed and False not in self.ends:
            server.was_reset = True
            self.net.tell(server)

    def carry(self, sender: SimTransport, step: str, data: bytes = b"") -> None:
        """Send a segment to the other end."""
        if self.over or sender.is_client in self.deaf:
            sender.unacknowledged(len(data))
            return
        at = max(sender.last_sent, self.net.loop.time() + self.net.delay(self.path))
        sender.last_sent = at
        sender.in_flight += len(data)
        self.net.loop.call_at(at, self._arrive, sender, step, data, context=_NOBODY)

    def _arrive(self, sender: SimTransport, step: str, data: bytes) -> None:
        if self.over:
            return
        if not self.path.up:
            self.path.waiting.append(lambda: self._send_on(sender, step, data))
            sender.wait_for_patience()
            return
        if sender.is_client in self.deaf:
            sender.wait_for_patience()
            return
        sender.in_flight -= len(data)
        sender.stop_waiting()
        other = self.ends.get(not sender.is_client)
        if other is not None:
            other.receive(step, data)

    def _send_on(self, sender: SimTransport, step: str, data: bytes) -> None:
        """Let a segment that was held go on: in its order, and not in one moment with all others."""
        at = max(sender.last_sent, self.net.loop.time() + self.net.delay(self.path))
        if self.path.proxied and step == "reset":
            at += DRAIN_SECONDS
        sender.last_sent = at
        self.net.loop.call_at(at, self._arrive, sender, step, data, context=_NOBODY)

    # Faults.

    def _die(self) -> None:
        self.dead_since = self.net.loop.time() if self.dead_since is None else self.dead_since

    @property
    def is_believed_in(self) -> bool:
        """Whether an end takes it for open, and knows whose it is: a broker waits 90 s for a stranger's first word."""
        return any(
            end.begun
            and not end.is_closing()
            and not getattr(end.get_protocol(), "is_stranger", False)
            for end in self.ends.values()
        )

    def reset_both(self) -> None:
        """Reset both ends."""
        self.fail(ConnectionResetError(104, "Connection reset by peer"))
        self.over = True
        for end in self.ends.values():
            end.lose(ConnectionResetError(104, "Connection reset by peer"))

    def blackhole(self, *, server_forgets: bool) -> None:
        """Let nothing of one end, or of both, come through any more."""
        self._die()
        self.deaf.add(True)
        if not server_forgets:
            self.deaf.add(False)
        for end in self.ends.values():
            if end.is_client in self.deaf:
                end.wait_for_patience(idle=True)

    def vanish(self, life: Life) -> None:
        """Lose one end with its machine's power: the other hears nothing."""
        is_client = self.life is life
        self._die()
        self.deaf.add(not is_client)
        self.ends.pop(is_client, None)
        other = self.ends.get(not is_client)
        if other is not None:
            other.wait_for_patience(idle=True)
        self.fail(TimeoutError(110, "Connection timed out"))

    def reset_by(self, life: Life) -> None:
        """Lose one end with its process: its kernel resets the other."""
        is_client = self.life is life
        mine = self.ends.pop(is_client, None)
        self.fail(ConnectionResetError(104, "Connection reset by peer"))
        if mine is not None and mine.begun:
            self.carry(mine, "reset")


_NOBODY = contextvars.Context()


class SimTransport(asyncio.Transport):
    """One end of a connection, as asyncio's protocols see it."""

    def __init__(
        self, pair: Pair, sock: SimSocket, protocol: Any, tls: Any, *, is_client: bool
    ) -> None:
        """Belong to whoever makes it: callbacks run in that context."""
        super().__init__({
            "socket": sock, "peername": sock.peer, "sockname": sock.name, "ssl_object": tls,
            "sslcontext": tls,
        })  # fmt: skip
        self.pair, self.sock, self.protocol, self.is_client = pair, sock, protocol, is_client
        self.context, self._life = contextvars.copy_context(), current()
        self.begun = self.closing = self.lost = self.paused = False
        self.last_sent = 0.0
        self.in_flight = 0
        self._held: list[tuple[str, bytes]] = []
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Tell the protocol that it may speak."""
        self.protocol.connection_made(self)
        self.go_on()

    def go_on(self) -> None:
        """Give the protocol, which knows of its connection, what has come already."""
        self.begun = True
        held, self._held = self._held, []
        for step, data in held:
            self._call(self._take, step, data)

    def _call(self, work: Any, *arguments: Any) -> None:
        self.pair.net.loop.call_soon(work, *arguments, context=self.context)

    def receive(self, step: str, data: bytes) -> None:
        """Get a segment from the network, and give it to the protocol at once: nobody else's code runs now."""
        if not self.begun or self.paused:
            self._held.append((step, data))
        elif self._life is None or not self._life.dead:
            self.context.run(self._take, step, data)

    def _take(self, step: str, data: bytes) -> None:
        if self.lost:
            return
        if step == "data":
            if not self.closing:
                self.protocol.data_received(data)
        elif step == "end":
            if not self.closing:
                self.protocol.eof_received()
            self.lose(None)
        else:
            self.lose(ConnectionResetError(104, "Connection reset by peer"))

    # What the protocol calls.

    def write(self, data: Any) -> None:
        """Send."""
        if not self.closing and not self.lost and data:
            self.pair.carry(self, "data", bytes(data))

    def is_closing(self) -> bool:
        """Return whether nothing can be sent any more."""
        return self.closing or self.lost

    def close(self) -> None:
        """End in order: the other side takes part, or has had its time."""
        if self.closing or self.lost:
            return
        self.closing = True
        self.pair.carry(self, "end")
        whole = self.pair.path.up and not self.pair.deaf
        seconds = 2 * self.pair.path.latency[1] if whole else GOODBYE
        self.pair.net.loop.call_later(seconds, self.lose, None, context=self.context)

    def abort(self) -> None:
        """End at once."""
        if not self.lost:
            self.closing = True
            self.pair.carry(self, "reset")
            self._call(self.lose, None)

    def lose(self, error: Exception | None) -> None:
        """Be at an end, and tell the protocol once."""
        if self.lost:
            return
        self.lost = self.closing = True
        self.stop_waiting()
        other = self.pair.ends.get(not self.is_client)
        if other is None or other.lost:
            self.pair.over = True
        if self.begun:
            self._call(self.protocol.connection_lost, error)
        self.sock.close()

    def get_write_buffer_size(self) -> int:
        """Return the bytes that the other end's system has not acknowledged."""
        return self.in_flight

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have no limits: the product bounds its buffers itself."""

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self.protocol

    def set_protocol(self, protocol: Any) -> None:
        """Use another protocol."""
        self.protocol = protocol

    def pause_reading(self) -> None:
        """Hold what comes."""
        self.paused = True

    def resume_reading(self) -> None:
        """Give what was held."""
        self.paused = False
        held, self._held = self._held, []
        for step, data in held:
            self._call(self._take, step, data)

    def is_reading(self) -> bool:
        """Return whether what comes is given on."""
        return not self.paused

    def can_write_eof(self) -> bool:
        """Return False: TLS has no half close."""
        return False

    # TCP's patience.

    def unacknowledged(self, size: int) -> None:
        """Note bytes that nobody will ever acknowledge."""
        self.in_flight += size
        self.wait_for_patience()

    def wait_for_patience(self, *, idle: bool = False) -> None:
        """Fail when TCP gives up; an ``idle`` connection only if its probes are on."""
        if self.pair.path.proxied and (self.pair.path.up or not self.is_client):
            return  # a proxy acknowledges all that reaches it
        probed = (socket.SOL_SOCKET, socket.SO_KEEPALIVE) in self.sock.options
        if self._timer is not None or self.lost or (idle and not probed):
            return
        seconds = self.sock.patience
        self._timer = self.pair.net.loop.call_later(
            seconds, self.lose, TimeoutError(110, "Connection timed out"), context=self.context
        )

    def stop_waiting(self) -> None:
        """Have an acknowledgement."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class SocketMaker(real_socket):
    """Makes simulated sockets for the internet's families, and real ones for the others."""

    def __new__(cls, family: int = -1, *arguments: Any, **words: Any) -> Any:
        """Return the one or the other."""
        if family in {socket.AF_INET, socket.AF_INET6}:
            return SimSocket(family)
        return real_socket(family, *arguments, **words)


def install() -> None:
    """Make simulated sockets from now on."""
    socket.socket = SocketMaker  # type: ignore[misc]
