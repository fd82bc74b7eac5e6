"""A clock that jumps to the next thing that happens, and a bench on it, where a twin in the same process is the device."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from staging.advise.bench import AbsentError, HelplessError, Manner, Serving
from staging.advise.record import LineSeen
from staging.advise.web import Reply, reply
from tests.moved_clock import MovedLoop

T = TypeVar("T")
WALL_MS = 1_700_000_000_000


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on a moved clock, with no real socket."""
    with asyncio.Runner(loop_factory=lambda: MovedLoop(on_its_way=0)) as runner:
        return runner.run(work)


class Ends:
    """One direction of a connection: bytes and when they are there."""

    def __init__(self, line: VirtualLine) -> None:
        self._line = line
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._free = 0.0

    def put(self, data: bytes) -> None:
        line, loop = self._line, asyncio.get_running_loop()
        if line.held:
            return
        wait = line.manner.delay
        if line.manner.pace:
            self._free = max(self._free, loop.time()) + len(data) / line.manner.pace
            wait += self._free - loop.time()
        if wait:
            loop.call_later(wait, self._queue.put_nowait, data)
        else:
            self._queue.put_nowait(data)

    async def get(self) -> bytes:
        return await self._queue.get()


class VirtualLine:
    """A connection; the twin has the end with `recv`, the advisor the one with `read`."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.seen = LineSeen(loop.time())
        self.manner = Manner()
        self.held = self.was_reset = False
        self.taken: asyncio.Future[Manner] = loop.create_future()
        self.shaken: asyncio.Future[str] = loop.create_future()
        self._down, self._up = Ends(self), Ends(self)
        self._ended = {"up": False, "down": False}

    # The advisor's end.

    async def read(self) -> bytes:
        if self._ended["up"]:
            return b""
        data = await self._up.get()
        self._ended["up"] = not data
        return data

    def write(self, data: bytes) -> None:
        self._down.put(data)

    def hold(self) -> None:
        self.held = True

    def close(self) -> None:
        self._down.put(b"")

    def reset(self) -> None:
        self.was_reset = True
        self.close()

    # The twin's end.

    async def recv(self) -> bytes:
        if self._ended["down"]:
            return b""
        data = await self._down.get()
        self._ended["down"] = not data
        return data

    def send(self, data: bytes) -> None:
        if not self._ended["down"]:
            self._up.put(data)

    def leave(self) -> None:
        self.seen.by_device = True
        self._up.put(b"")


class Machine(Protocol):
    """What the helper acts on."""

    async def strike(self, fault: str, values: Mapping[str, int | str]) -> None: ...

    async def ease(self, fault: str) -> None: ...


class VirtualBench:
    """The bench; `connect` is the device's."""

    def __init__(self, link: str = "coap") -> None:
        self.link = link
        self._offers: asyncio.Queue[VirtualLine] = asyncio.Queue()
        self.hands: list[str] = []
        self.hand_of: Callable[[str], bool] = lambda _verb: False
        self.speaker: Callable[[], Awaitable[bool]] | None = None
        self.lead = 0.0
        self.case = ""
        self.helped = True
        self.machine: Machine
        self.served: dict[str, Serving] = {}

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_ms(self) -> int:
        return WALL_MS + int(self.now() * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @property
    def waiting(self) -> int:
        return self._offers.qsize()

    async def accept(self, manner: Manner, within: float) -> VirtualLine:
        try:
            async with asyncio.timeout(within):
                line = await self._offers.get()
        except TimeoutError:
            raise AbsentError(f"no connection within {within:g} s") from None
        line.manner = manner
        line.taken.set_result(manner)
        line.seen.handshake = await line.shaken
        if not line.seen.handshake:
            line.seen.fault = "alert"
            line.seen.closed = self.now()
        return line

    def needs_helper(self) -> None:
        if not self.helped:
            raise HelplessError("no helper")

    async def strike(self, fault: str, values: Mapping[str, int | str]) -> str:
        await self.machine.strike(fault, values)
        return fault

    async def ease(self, fault: str) -> None:
        await self.machine.ease(fault)

    async def hand(self, verb: str) -> bool:
        self.hands.append(verb)
        return self.hand_of(verb)

    async def speak(self) -> bool:
        return False if self.speaker is None else await self.speaker()

    def serve(self, path: str, how: Serving) -> str:
        self.served[path] = how
        return f"http://advisor{path}"

    def fetch(self, url: str, first: int) -> tuple[Reply, int]:
        """Return what the device gets for a request, and at how many bytes a second; 0: at once."""
        path = url.removeprefix("http://advisor")
        how = self.served.get(path)
        return reply(how, path, first), 0 if how is None else how.pace

    def connect(self) -> VirtualLine:
        line = VirtualLine()
        self._offers.put_nowait(line)
        return line
