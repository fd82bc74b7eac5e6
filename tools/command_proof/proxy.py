"""A TCP proxy on loopback whose link can stall: what is sent arrives later, as over a bad Wi-Fi."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

READ_SIZE = 16 * 1024


class Direction:
    """One way of the link, open or stalled; used in the proxy's loop only."""

    def __init__(self) -> None:
        """Begin open."""
        self.open = asyncio.Event()
        self.open.set()


class StallingProxy:
    """Forwards connections to one port; runs in a thread of its own.

    While a direction stalls, bytes are still taken from their sender, and the end of the connection
    too; all of it is passed on in order afterwards, even if the sender has long gone.
    """

    def __init__(self, target: int) -> None:
        """Forward to ``target`` on 127.0.0.1."""
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def start(self) -> None:
        """Listen; ``port`` is known afterwards."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """End, with all connections."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    @contextlib.contextmanager
    def stalled(self, *directions: str) -> Iterator[None]:
        """Stall ``down`` (to the device), ``up`` (to the cloud) or both while the context lasts."""
        for name in directions:
            self._loop.call_soon_threadsafe(self._ways[name].open.clear)
        try:
            yield
        finally:
            for name in directions:
                self._loop.call_soon_threadsafe(self._ways[name].open.set)

    def cut(self) -> None:
        """Cut every connection at once, with what it still holds."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        self._ways = {"down": Direction(), "up": Direction()}
        self._writers: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        self._cut()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        writers = {writer, far_writer}
        self._writers |= writers
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, far_writer, self._ways["up"]))
                group.create_task(self._pass(far_reader, writer, self._ways["down"]))
        finally:
            self._writers -= writers

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction
    ) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        taking = asyncio.create_task(_take(reader, queue))
        try:
            while data := await queue.get():
                await way.open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            taking.cancel()
            await way.open.wait()
            writer.close()


async def _take(reader: asyncio.StreamReader, queue: asyncio.Queue[bytes]) -> None:
    """Take all that comes at once, so that the sender sees a link that works."""
    with contextlib.suppress(OSError):
        while data := await reader.read(READ_SIZE):
            queue.put_nowait(data)
    queue.put_nowait(b"")
