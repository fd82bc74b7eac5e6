"""One connection's way over the bench: a transport between the socket and TLS that a link's faults act on.

Without a fault bytes pass at once. A held or slow way keeps them in a bounded queue, and stops reading before it is
full. What ends while a way is held is not told to the other side until the hold is over, as in a black hole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from staging.bench.shape import CLEAR, Pace, Shape, Way

# Bytes that wait in one direction before its sender is stopped.
QUEUE_LIMIT = 256 * 1024

Shapes = Callable[[Way], Shape]


class Lane:
    """One direction: bytes wait in it as long as its shape says."""

    def __init__(self, way: Way, deliver: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """Hand bytes to ``deliver``, and call ``end`` when all before an end have passed."""
        self.way = way
        self.shape = CLEAR
        self.size = 0
        self.left: int | None = None
        """Bytes until the connection is cut; None: it is not."""
        self._deliver = deliver
        self._end = end
        self._pace = Pace()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._is_ending = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._queue

    def push(self, data: bytes) -> None:
        """Take bytes from the sender."""
        if self.shape.is_clear and not self._queue:
            self._deliver(data)
            return
        self._queue.extend(self._pace.pieces(data, self.shape, self._loop.time()))
        self.size += len(data)
        self._wake()

    def finish(self) -> None:
        """Take the sender's end, which passes behind its bytes."""
        self._is_ending = True
        self._wake()

    def change(self, shape: Shape) -> None:
        """Go on with another shape; what waits is planned anew."""
        if shape == self.shape:
            return
        self.shape = shape
        waiting = b"".join(data for _, data in self._queue)
        now = self._loop.time()
        self._pace.restart(now)
        self._queue = deque(self._pace.pieces(waiting, shape, now))
        self._wake()

    def drop(self) -> None:
        """Forget what waits."""
        self._queue.clear()
        self.size = 0
        self._is_ending = False
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.shape.held:
            return
        while self._queue and self._queue[0][0] <= self._loop.time():
            _, data = self._queue.popleft()
            self.size -= len(data)
            self._deliver(data)
        if self._queue:
            self._timer = self._loop.call_at(self._queue[0][0], self._wake)
        elif self._is_ending:
            self._is_ending = False
            self._end()


class Line(asyncio.Transport):
    """The transport that TLS sees; the real one is behind it."""

    _start_tls_compatible = True  # read by asyncio's `start_tls`

    def __init__(self, real: asyncio.Transport, gone: Callable[[Line], None]) -> None:
        """Stand before ``real``; ``gone(line)`` is called when that has ended."""
        super().__init__()
        self.uuid = ""
        """The device, as soon as it is known or guessed."""
        self._real = real
        self._gone = gone
        self._protocol: Any = None
        self._is_paused = True  # until TLS begins: nothing is read before
        self._is_closed = False
        self._is_full = False
        self._is_stopped = False
        self._lost: BaseException | None = None
        self.down = Lane(Way.DOWN, self._send, real.close)
        self.up = Lane(Way.UP, self._receive, self._end)
        real.set_protocol(_Socket(self))

    # What the faults do.

    def change(self, shapes: Shapes) -> None:
        """Act by these shapes from now on."""
        for lane in (self.down, self.up):
            lane.change(shapes(lane.way))
        self._regulate()

    def cut_after(self, count: int, ways: tuple[Way, ...]) -> None:
        """Cut the connection after ``count`` more bytes in one of ``ways``; with 0, now."""
        for lane in (self.down, self.up):
            lane.left = count if lane.way in ways else None
        if not count:
            self.cut()

    def cut(self) -> None:
        """Reset the connection; both sides are told."""
        for lane in (self.down, self.up):
            lane.drop()
            lane.shape = CLEAR
        self._real.abort()

    @property
    def is_held(self) -> bool:
        """Whether the other side hears nothing of an end."""
        return self.down.shape.held

    @property
    def address(self) -> str:
        """The peer's IP address, "" if it has none."""
        name = self._real.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    # Between the lanes and the two sides.

    def _count(self, lane: Lane, data: bytes) -> bytes:
        if lane.left is None:
            return data
        passed = data[: lane.left]
        lane.left -= len(passed)
        return passed

    def _send(self, data: bytes) -> None:
        passed = self._count(self.down, data)
        if passed and not self._real.is_closing():
            self._real.write(passed)
        self._after(self.down)

    def _receive(self, data: bytes) -> None:
        passed = self._count(self.up, data)
        if passed and not self._is_closed and self._protocol is not None:
            _feed(self._protocol, passed)
        self._after(self.up)

    def _after(self, lane: Lane) -> None:
        if lane.left == 0:
            lane.left = None
            asyncio.get_running_loop().call_soon(self.cut)
        self._regulate()

    def _end(self) -> None:
        """Tell TLS that the other side has ended, behind all that it sent."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(self._lost)
        self._gone(self)

    def _regulate(self) -> None:
        """Stop whoever sends more than may wait, and let it go on."""
        if not self._real.is_closing():
            is_full = self.up.size >= QUEUE_LIMIT or self._is_paused
            (self._real.pause_reading if is_full else self._real.resume_reading)()
        is_full = self._is_full or self.down.size >= QUEUE_LIMIT
        # asyncio's TLS asserts that the two calls take turns.
        if is_full != self._is_stopped and self._protocol is not None:
            self._is_stopped = is_full
            (self._protocol.pause_writing if is_full else self._protocol.resume_writing)()

    # What the real transport says (`_Socket`).

    def received(self, data: bytes) -> None:
        """Take bytes of the peer."""
        self.up.push(data)
        self._regulate()

    def lost(self, error: BaseException | None) -> None:
        """Take the end of the real connection."""
        self._lost = error
        self.down.drop()
        self.up.finish()

    def tell_writing(self, *, can: bool) -> None:
        """Take that the real connection can take more, or no more."""
        self._is_full = not can
        self._regulate()

    # What TLS asks of its transport.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand what comes to ``protocol`` from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is handed what comes."""
        return self._protocol  # type: ignore[no-any-return]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send to the peer, by the way down."""
        if not self._is_closed:
            self.down.push(bytes(data))
            self._regulate()

    def close(self) -> None:
        """End behind what was written; in a black hole the peer is not told before it is over."""
        if not self._is_closed:
            self._is_closed = True
            self.down.finish()
            if self.is_held:
                self._leave()

    def abort(self) -> None:
        """End at once; in a black hole the peer is not told before it is over."""
        self._is_closed = True
        if self.is_held:
            self.down.drop()
            self.down.finish()
            self._leave()
        else:
            self.cut()

    def _force_close(self, _error: BaseException | None) -> None:  # asyncio's TLS calls it
        self.abort()

    def _leave(self) -> None:
        """Let TLS go while the socket stays."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            asyncio.get_running_loop().call_soon(protocol.connection_lost, None)

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._is_closed or self._real.is_closing()

    def pause_reading(self) -> None:
        """Stop to hand over what comes."""
        self._is_paused = True
        self._regulate()

    def resume_reading(self) -> None:
        """Hand over what comes again."""
        self._is_paused = False
        self._regulate()

    def is_reading(self) -> bool:
        """Whether what comes is handed over."""
        return not self._is_paused

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self.down.size + self._real.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the writer is stopped."""
        self._real.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection; ``bench_line`` is this object."""
        return self if name == LINE else self._real.get_extra_info(name, default)


LINE = "bench_line"
"""The name by which `asyncio.BaseTransport.get_extra_info` returns a connection's line, also through TLS."""


class _Socket(asyncio.Protocol):
    """The protocol of the real transport."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def data_received(self, data: bytes) -> None:
        self._line.received(data)

    def connection_lost(self, error: BaseException | None) -> None:
        self._line.lost(error)

    def pause_writing(self) -> None:
        self._line.tell_writing(can=False)

    def resume_writing(self) -> None:
        self._line.tell_writing(can=True)


def _feed(protocol: Any, data: bytes) -> None:
    """Hand ``data`` to a protocol of either kind; TLS reads into a buffer of its own."""
    if not isinstance(protocol, asyncio.BufferedProtocol):
        protocol.data_received(data)
        return
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        protocol.buffer_updated(count)
        data = data[count:]
