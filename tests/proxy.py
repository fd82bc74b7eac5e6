"""A TCP proxy in the test's own loop: a direction can be held, and connections cut after some bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

READ_SIZE = 16 * 1024
DOWN, UP = "down", "up"


class Proxy:
    """Forwards to one port of loopback; ``down`` is to who connects, ``up`` to the port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = {DOWN: asyncio.Event(), UP: asyncio.Event()}
        self._left: dict[str, int | None] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self._release()

    def _release(self) -> None:
        self._left = {DOWN: None, UP: None}
        for way in self._open.values():
            way.set()

    def hold(self, way: str) -> None:
        """Take what comes in this direction, and pass it on only after `go_on`."""
        self._open[way].clear()

    def go_on(self) -> None:
        """Pass on what was held."""
        self._release()

    def cut_after(self, way: str, count: int) -> None:
        """Cut all connections after ``count`` more bytes in this direction."""
        self._left[way] = count

    def cut(self) -> None:
        """Cut all connections now; what was held is gone, and new connections are open."""
        for writer in list(self._writers):
            writer.transport.abort()
        self._release()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        pair = {writer, far_writer}
        self._writers |= pair
        ways = [self._pass(reader, far_writer, UP), self._pass(far_reader, writer, DOWN)]
        with contextlib.suppress(OSError, asyncio.CancelledError):  # asyncio would log the latter
            await asyncio.gather(*ways)
        self._writers -= pair

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
    ) -> None:
        try:
            while data := await reader.read(READ_SIZE):
                await self._open[way].wait()
                left = self._left[way]
                if left is not None:
                    data = data[:left]
                    self._left[way] = left - len(data)
                writer.write(data)
                await writer.drain()
                if left is not None and left <= len(data):
                    self.cut()
        finally:
            writer.close()

    async def stop(self) -> None:
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """Run a proxy to a port of loopback."""
    made = Proxy(target)
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.stop()
