"""How the simulated player reads a story from the web: from the agent's relay, as far as that goes, and again where it broke.

It looks at each byte: whether it is of the story that began, of one edition in each answer, and of its place.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable

from machine.errors import RefusedError
from tools.sim.web_server import RATE, body_of, piece_at, url_of

# Between two tries to go on where it broke; and after which it is given up, as `machine.mpv_options` has it.
AGAIN_SECONDS, PATIENCE_SECONDS = 5.0, 40.0
CHUNK = 32 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class WebTrack:
    """One story that is played.

    Attributes:
        name: of the story that the bytes are of.
        is_over: whether all has come that will come.
        wrong: what was wrong with the bytes.
        cut_short: where it ended before its end, if its length was not told: the player cannot know; "": it did not.
    """

    def __init__(self, source: str, on_more: Callable[[], None]) -> None:
        """Read the relay's address ``source``; ``on_more`` is called when something has come, or nothing will."""
        address, _, self._path = source.removeprefix("http://").partition("/")
        self._port = int(address.partition(":")[2])
        self._on_more = on_more
        self.name, self._have = "", 0
        self._size: int | None = 0
        self.is_over = False
        self.wrong: list[str] = []
        self.cut_short = ""
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._edition = 0

    @property
    def url(self) -> str:
        """The address of the story that is heard."""
        return url_of(self.name)

    @property
    def length(self) -> float:
        """How many seconds it has, as it is told; without an end where nobody tells."""
        return math.inf if self._size is None else self._size / RATE

    @property
    def there(self) -> float:
        """Up to which second it can be played."""
        return self._have / RATE

    @property
    def is_whole(self) -> bool:
        """Whether all is there."""
        return self._size is not None and self._have >= self._size

    async def open(self, seconds: float) -> None:
        """Begin at a place; raises RefusedError."""
        try:
            reader = await self._ask(int(seconds * RATE))
            await self._take(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise RefusedError("play: cannot be played: it does not come") from error
        if not self.name:
            raise RefusedError("play: cannot be played: no sound in it")
        self._task = asyncio.create_task(self._go_on(reader))

    async def _ask(self, at: int) -> asyncio.StreamReader:
        """Ask for the bytes from ``at`` on; raises OSError, IncompleteReadError."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(f"GET /{self._path} HTTP/1.1\r\nRange: bytes={at}-\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or status[1] not in {b"200", b"206"}:
            raise OSError("the relay does not serve it")
        self._have = at if status[1] == b"206" else 0
        self._size = None if length is None else self._have + int(length[1])
        self._edition = 0
        return reader

    async def _take(self, reader: asyncio.StreamReader) -> bool:
        """Take what comes; return whether something did."""
        left = CHUNK if self._size is None else self._size - self._have
        data = await reader.read(min(CHUNK, left)) if not self.is_whole else b""
        if not data:
            if self._size is None:
                self._end()
            return False
        piece = piece_at(data, self._have)
        if piece is not None:
            self.name = self.name or piece.name
            edition = self._edition or piece.edition
            if not piece.is_whole or (piece.name, piece.edition) != (self.name, edition):
                found = f"{piece.name} {piece.edition}, whole: {piece.is_whole}"
                self.wrong.append(f"{self.name} {edition} has at byte {self._have} what is {found}")
            self._edition = edition
        elif len(data) >= 128:
            self.wrong.append(f"{self.name} has at byte {self._have} what is of no story")
        self._have += len(data)
        return True

    def _end(self) -> None:
        """Take the end of what comes for the story's, where nobody tells its length."""
        self._size = self._have
        size = len(body_of(self.name, self._edition)) if self._edition else self._have
        if size != self._have:
            self.cut_short = f"at byte {self._have} of {size}"

    async def _go_on(self, reader: asyncio.StreamReader | None) -> None:
        """Take all that comes, and ask again for what does not, for a while."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while not self.is_whole and loop.time() - last < PATIENCE_SECONDS:
            try:
                reader = reader or await self._ask(self._have)
                while await self._take(reader):
                    last = loop.time()
                    self._on_more()
            except (OSError, asyncio.IncompleteReadError):
                pass
            reader = None
            if not self.is_whole:
                await asyncio.sleep(AGAIN_SECONDS)
        self.is_over = True
        self._on_more()

    def close(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
        if self._writer is not None:
            self._writer.close()
