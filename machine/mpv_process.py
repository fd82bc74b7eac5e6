"""mpv in a process of its own, and its JSON IPC on one end of a socket pair.

mpv's manual, "JSON IPC": one JSON object a line; a request is ``{"command": ..., "request_id": n}``,
its answer bears the same ``request_id``, and an event has ``event``. Every request has a deadline,
and a process that misses one is killed: whoever uses it starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine.errors import UnavailableError
from machine.mpv_host import UNIT_SOCKET, Host, start_host

# mpv answers in a millisecond; it is blocked while it opens a sound card.
REQUEST_SECONDS = 3.0
# 0.1 s on a PC; a Pi Zero that reads mpv from a cold card takes several seconds.
START_SECONDS = 15.0
# mpv quits in some 10 ms; one that hangs in a sound card's driver is killed after this.
QUIT_SECONDS = 0.5
# The longest line: a property or event of ours has some hundred bytes, a file's name up to 4 KiB.
LINE_LIMIT = 64 * 1024
# Events that nobody has taken; a track has about ten.
EVENT_LIMIT = 200
CURRENT_AO = "current-ao"
# Those that the player uses; all others are dropped where they arrive.
_EVENTS = frozenset({"start-file", "file-loaded", "playback-restart", "end-file"})
# The events that are not mpv's.
DIED = "died"
OUTPUT_CHANGED = "output-changed"
DEVICES_CHANGED = "devices-changed"

_log = logging.getLogger(__name__)

Event = Mapping[str, Any]
"""``{"event": name, ...}`` in mpv's words, or one of the three names above."""


class MpvError(Exception):
    """mpv answered a request with an error; the message is mpv's."""


class MpvProcess:
    """One running mpv. After its end it is of no more use."""

    def __init__(
        self,
        host: Host,
        ours: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Use `start`."""
        self._host = host
        self._reader, self._writer = ours
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())
        self.events: asyncio.Queue[Event] = asyncio.Queue(EVENT_LIMIT)
        self.output: str | None = None
        """mpv's name of the audio output in use, None while none is open."""
        self._reported: str | None = None
        self.alive = True
        self.pid: int | None = None
        """The process id."""

    @classmethod
    async def start(cls, program: Sequence[str], unit: Path = UNIT_SOCKET) -> MpvProcess:
        """Start mpv and wait for its first answer; raises UnavailableError.

        It runs in the unit whose socket is ``unit``, without one as a child that is ``program``.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                host = await start_host(program, theirs, unit)
        except BaseException:
            ours.close()
            raise
        made = cls(host, await asyncio.open_unix_connection(sock=ours, limit=LINE_LIMIT))
        try:
            await made.request("observe_property", 1, CURRENT_AO, seconds=START_SECONDS)
            made.pid = host.pid or await made.ask("pid")
        except BaseException:
            await made.close()
            raise
        return made

    @property
    def label(self) -> str:
        """What runs, for people."""
        return self._host.label

    async def request(
        self, *command: object, seconds: float = REQUEST_SECONDS, **named: object
    ) -> Any:
        """Return the answer's ``data`` to a command, as a list or with named arguments.

        Raises:
            MpvError: mpv refuses the command.
            UnavailableError: mpv has died, or did not answer in ``seconds`` and was killed.
        """
        if not self.alive:
            raise UnavailableError("play: mpv ended unexpectedly")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"command": named or command, "request_id": number}, ensure_ascii=False)
        try:
            async with asyncio.timeout(seconds):
                # A file's name need not be UTF-8; mpv takes and gives its bytes as they are.
                self._writer.write(line.encode(errors="surrogateescape") + b"\n")
                await self._writer.drain()
                return await answer
        except (TimeoutError, OSError) as error:
            self.kill(f"no answer to {command[0] if command else named['name']} in {seconds:g} s")
            raise UnavailableError(f"play: mpv gave no answer in {seconds:g} s") from error
        finally:
            self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, also if it died while this was being written

    async def ask(self, name: str) -> Any:
        """Return the property ``name``, None while mpv has none."""
        try:
            return await self.request("get_property", name)
        except MpvError:
            return None

    async def read_output(self) -> str | None:
        """Return `output` as it is now: its change is an event, which may come later."""
        output = await self.ask(CURRENT_AO)
        self._take_output(output)
        return self.output

    def tell_devices_changed(self) -> None:
        """Put `DEVICES_CHANGED`, unless so many events wait that one more tells nothing."""
        if self.alive and self.events.qsize() < EVENT_LIMIT // 2:
            self.events.put_nowait({"event": DEVICES_CHANGED})

    def kill(self, reason: str) -> None:
        """End the process at once; the reader then puts `DIED`."""
        if self.alive:
            _log.warning("play: mpv is killed: %s", reason)
        self._host.kill()
        self._end()

    async def close(self) -> None:
        """End the process and wait for its end."""
        self._reading.cancel()
        self._end()
        self._writer.close()  # which mpv takes as an order to quit
        try:
            async with asyncio.timeout(QUIT_SECONDS):
                await self._host.wait()
        except TimeoutError:
            self._host.kill()
            with contextlib.suppress(
                TimeoutError
            ):  # a card that does not answer keeps it for longer
                async with asyncio.timeout(QUIT_SECONDS):
                    await self._host.wait()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(line)
        except ConnectionResetError:  # it died with a request unread
            pass
        except (OSError, ValueError, RecursionError) as error:  # too long, or not JSON
            self.kill(f"its answers cannot be read: {error}")
        self._end()

    def _take(self, line: bytes) -> None:
        """Take one line; raises ValueError: no JSON object."""
        message = json.loads(line.decode(errors="replace"))
        if not isinstance(message, dict):
            raise ValueError("expected a JSON object")  # noqa: TRY004  # as json.loads does
        name = message.get("event")
        if name == "property-change":
            self._take_output(message.get("data"))
        elif name in _EVENTS:
            self._put(message)
        elif name is None:
            self._answer(message)

    def _take_output(self, value: object) -> None:
        """Note ``current-ao``; a try that ends where it began (null, none, null) is no change."""
        self.output = None if value is None else str(value)
        if self.output not in {None, self._reported}:
            self._reported = self.output
            self._put({"event": OUTPUT_CHANGED})

    def _put(self, event: Event) -> None:
        """Put an event for who plays, also while he waits for an answer and takes none."""
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            self.kill(f"{EVENT_LIMIT} events are waiting")

    def _answer(self, message: Mapping[str, Any]) -> None:
        number = message.get("request_id")
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is None or waiting.done():
            return
        if message.get("error") == "success":
            waiting.set_result(message.get("data"))
        else:
            waiting.set_exception(MpvError(str(message.get("error"))))

    def _end(self) -> None:
        """Fail all that waits, and tell the player."""
        if not self.alive:
            return
        self.alive = False
        self.output = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(UnavailableError("play: mpv ended unexpectedly"))
        while self.events.full():
            self.events.get_nowait()
        self.events.put_nowait({"event": DIED})
