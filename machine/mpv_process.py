"""mpv in a process of its own, with its JSON IPC on an inherited socket.

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
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from machine.errors import UnavailableError
from machine.mpv_options import build_command, build_environment

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
        process: asyncio.subprocess.Process,
        ours: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Use `start`."""
        self._process = process
        self._reader, self._writer = ours
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())
        self.events: asyncio.Queue[Event] = asyncio.Queue(EVENT_LIMIT)
        self.output: str | None = None
        """mpv's name of the audio output in use, None while none is open."""
        self._reported: str | None = None
        self.alive = True

    @classmethod
    async def start(cls, program: Sequence[str]) -> MpvProcess:
        """Start mpv and wait for its first answer; raises UnavailableError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *build_command(program, theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    env=build_environment(os.environ),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the agent, which then closes mpv
                )
            except OSError as error:
                ours.close()
                raise UnavailableError(f"play: mpv cannot be started: {error.strerror}") from error
        made = cls(process, await asyncio.open_unix_connection(sock=ours, limit=LINE_LIMIT))
        try:
            await made.request("observe_property", 1, CURRENT_AO, seconds=START_SECONDS)
        except BaseException:
            await made.close()
            raise
        return made

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

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
        if self._process.returncode is None:
            _log.warning("play: mpv is killed: %s", reason)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._end()

    async def close(self) -> None:
        """End the process and wait for its end."""
        self._reading.cancel()
        self._end()
        self._writer.close()  # which mpv takes as an order to quit
        try:
            async with asyncio.timeout(QUIT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(line)
        except ConnectionResetError:  # it died with a request unread
            pass
        except (OSError, ValueError, RecursionError) as error:  # too long, or not JSON
            self.kill(f"its answers cannot be read: {error}")
        except asyncio.QueueFull:
            self.kill(f"{EVENT_LIMIT} events are waiting")
        self._end()

    def _take(self, line: bytes) -> None:
        """Take one line; raises ValueError (no JSON object) and QueueFull."""
        message = json.loads(line.decode(errors="replace"))
        if not isinstance(message, dict):
            raise ValueError("expected a JSON object")  # noqa: TRY004  # as json.loads does
        name = message.get("event")
        if name == "property-change":
            self._take_output(message.get("data"))
        elif name in _EVENTS:
            self.events.put_nowait(message)
        elif name is None:
            self._answer(message)

    def _take_output(self, value: object) -> None:
        """Note ``current-ao``; a try that ends where it began (null, none, null) is no change."""
        self.output = None if value is None else str(value)
        if self.output not in {None, self._reported}:
            self._reported = self.output
            self.events.put_nowait({"event": OUTPUT_CHANGED})

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
