"""The bench on real sockets: a listening port to which the device is led, TLS in every manner, and slow ways."""

from __future__ import annotations

import asyncio
import contextlib
import select
import shlex
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Self

from staging.advise.bench import COUNT_DOWN, AbsentError, HelplessError, Manner, Serving
from staging.advise.helper import NONE, MachineHelper
from staging.advise.papers import Papers
from staging.advise.record import LineSeen
from staging.advise.web import Web
from staging.gateway.handshakes import reason_of

READ_SIZE = 16 * 1024
# Seconds for a handshake: 2017 modules need 2 to 4 s, and a slow way takes its own time.
HANDSHAKE_SECONDS = 20.0
# Seconds for the close of TLS.
SHUTDOWN_SECONDS = 1.0
# Connections that wait to be taken; the oldest are dropped.
WAITING_LIMIT = 16
# Seconds that a program at the machine may take.
HAND_SECONDS = 60.0
# Seconds between two pieces of a slow way.
TICK_SECONDS = 0.05
_RESET = struct.pack("ii", 1, 0)


class RealLine:
    """One connection."""

    def __init__(self, opened: float, sock: socket.socket) -> None:
        self.seen = LineSeen(opened)
        self._sock = sock
        self._reader = asyncio.StreamReader()
        self._transport: asyncio.Transport | None = None
        self._held = False

    async def shake(self, context: ssl.SSLContext | None, sock: socket.socket) -> None:
        """Do the handshake; what came of it is in ``seen``."""
        protocol = asyncio.StreamReaderProtocol(self._reader)
        more = {}
        if context is not None:
            more = {
                "ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": SHUTDOWN_SECONDS,
            }  # fmt: skip
        try:
            self._transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, sock, ssl=context, **more
            )
        except (OSError, ssl.SSLError) as error:
            self.seen.fault = reason_of(error, HANDSHAKE_SECONDS)
            self.seen.closed = asyncio.get_running_loop().time()
            self._reader.feed_eof()  # who waits for what it says need wait no more
            sock.close()
            return
        agreed = self._transport.get_extra_info("ssl_object")
        self.seen.handshake = "none" if agreed is None else str(agreed.version())

    async def read(self) -> bytes:
        """Return what comes next; b"" at the end."""
        try:
            data = await self._reader.read(READ_SIZE)
        except (OSError, ssl.SSLError) as error:
            self.seen.fault = self.seen.fault or reason_of(error, HANDSHAKE_SECONDS)
            data = b""
        if not data:
            self.seen.by_device = True
        return data

    def write(self, data: bytes) -> None:
        """Send bytes, in one record."""
        if self._transport is not None and not self._held and not self._transport.is_closing():
            self._transport.write(data)

    def hold(self) -> None:
        """Read and write no more."""
        self._held = True
        if self._transport is not None:
            self._transport.pause_reading()

    def close(self) -> None:
        """End it in order."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End it with a reset."""
        if self._sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if self._transport is not None:
            self._transport.abort()


class RealBench:
    """The bench of one device."""

    def __init__(
        self,
        listener: socket.socket,
        papers: Papers,
        link: str,
        hand: str = "",
        ask_to_speak: Callable[[], Awaitable[None]] | None = None,
        helper: MachineHelper | None = None,
    ) -> None:
        """Take connections of a listening socket; ``hand`` is the program that acts at the machine.

        ``ask_to_speak``: asks the tester to speak, and returns when he has; None: he is not there. ``helper``: makes faults at the machine.
        """
        self._helper = helper
        self._ask_to_speak = ask_to_speak
        self.lead = 0.0
        self._listener, self._papers = listener, papers
        self.link = link
        self._hand = hand
        self._offers: list[tuple[float, socket.socket]] = []
        self._news = asyncio.Event()
        self._lines: list[RealLine] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._web = Web()

    async def __aenter__(self) -> Self:
        self._listener.setblocking(False)
        self._spawn(self._take())
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self._lines:
            line.reset()
        for _, sock in self._offers:
            sock.close()
        self._listener.close()
        await self._web.close()
        if self._helper is not None:
            await self._helper.close()

    async def open_web(self, host: str, port: int = 0) -> None:
        """Begin to serve what updates fetch; raises OSError where this computer has no such address."""
        await self._web.open(host, port)

    @property
    def web(self) -> str:
        """The beginning of all URLs of what is served."""
        return self._web.base

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._offers.append((loop.time(), sock))
            if len(self._offers) > WAITING_LIMIT:
                self._offers.pop(0)[1].close()
            self._news.set()

    # What cases may do.

    def now(self) -> float:
        """Return seconds that only grow."""
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        """Return the time of day (Unix, milliseconds)."""
        return int(time.time() * 1000)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    @property
    def waiting(self) -> int:
        """How many connections nobody has taken yet."""
        self._forget_dead()
        return len(self._offers)

    def _forget_dead(self) -> None:
        """Drop connections whose device has gone while nobody took them."""
        look = select.poll()
        for _, sock in self._offers:
            # Also where its first bytes still wait to be read.
            look.register(sock, select.POLLRDHUP)
        gone = {descriptor for descriptor, _ in look.poll(0)}
        for _, sock in self._offers:
            if sock.fileno() in gone:
                sock.close()
        self._offers = [each for each in self._offers if each[1].fileno() >= 0]

    async def accept(self, manner: Manner, within: float) -> RealLine:
        """Return the device's next connection; raises AbsentError."""
        try:
            async with asyncio.timeout(within):
                while not self.waiting:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AbsentError(f"no connection within {within:g} s") from None
        opened, sock = self._offers.pop(0)
        line = RealLine(opened, sock)
        self._lines = [each for each in self._lines if each.seen.closed is None] + [line]
        inner = sock
        if manner.pace or manner.delay:
            inner = self._slow_way(sock, manner)
        context = None if manner.clear is not None else self._papers.context(manner)
        await line.shake(context, inner)
        if manner.clear is not None:
            self._spawn(_answer_in_clear(line, manner.clear))
        return line

    def _slow_way(self, sock: socket.socket, manner: Manner) -> socket.socket:
        """Put a slow way between a connection and what is returned."""
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        self._spawn(_carry(sock, far, manner))
        self._spawn(_carry(far, sock, manner))
        return near

    def needs_helper(self) -> None:
        """Raise HelplessError if no helper stands beside the machine."""
        if self._helper is None:
            raise HelplessError(NONE)
        self._helper.check()

    async def strike(self, fault: str, values: Mapping[str, int | str]) -> str:
        """Have the helper make a fault; return what it says."""
        self.needs_helper()
        assert self._helper is not None  # noqa: S101  # needs_helper
        return await self._helper.strike(fault, values)

    async def ease(self, fault: str) -> None:
        """End a lasting fault."""
        if self._helper is not None:
            await self._helper.ease(fault)

    async def hand(self, verb: str) -> bool:
        """Have the program at the machine do something; return whether it could."""
        if not self._hand:
            return False
        with contextlib.suppress(OSError, TimeoutError):
            process = await asyncio.create_subprocess_exec(
                *shlex.split(self._hand), *verb.split(), stdout=asyncio.subprocess.PIPE
            )
            try:
                async with asyncio.timeout(HAND_SECONDS):
                    await self._note_begin(process)
                    return process.returncode == 0
            finally:
                if process.returncode is None:
                    # A cancellation would be lost to its error.
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
        return False

    async def _note_begin(self, process: asyncio.subprocess.Process) -> None:
        """Wait for a program's end; its first line, if it prints one, is when it begins."""
        begun = self.now()
        if process.stdout is not None and await process.stdout.read(1):
            self.lead = self.now() - begun
        await process.communicate()

    async def speak(self) -> bool:
        """Have the program at the machine speak to it, else the tester; return whether anybody could."""
        self.lead = 0.0
        if await self.hand("speak"):
            return True
        if self._ask_to_speak is None:
            return False
        self.lead = float(COUNT_DOWN)
        await self._ask_to_speak()
        return True

    def serve(self, path: str, how: Serving) -> str:
        """Offer a file by HTTP; return its URL."""
        return self._web.serve(path, how)


async def _carry(source: socket.socket, target: socket.socket, manner: Manner) -> None:
    """Carry bytes in one direction, late and slowly."""
    loop = asyncio.get_running_loop()
    pending: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    reading = asyncio.ensure_future(_read_into(source, pending))
    free = loop.time()
    try:
        while True:
            at, data = await pending.get()
            size = len(data) or 1
            free = max(free, at + manner.delay) + (size / manner.pace if manner.pace else 0.0)
            await asyncio.sleep(max(0.0, free - loop.time()))
            if not data:
                break
            await loop.sock_sendall(target, data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has gone
    finally:
        reading.cancel()


async def _read_into(source: socket.socket, pending: asyncio.Queue[tuple[float, bytes]]) -> None:
    loop = asyncio.get_running_loop()
    data = b"?"
    while data:
        try:
            # Small pieces, so that a slow way is slow from the first byte.
            data = await loop.sock_recv(source, 512)
        except OSError:
            data = b""
        pending.put_nowait((loop.time(), data))


async def _answer_in_clear(line: RealLine, page: bytes) -> None:
    """Answer as a web server does that cannot read what came."""
    await asyncio.sleep(TICK_SECONDS * 4)
    line.write(page)
    await asyncio.sleep(1.0)
    line.close()
