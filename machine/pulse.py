"""A connection to the sound server, PulseAudio or pipewire-pulse, over its native protocol.

It is a socket of our own and not libpulse, which can end the process that uses it when the server
goes (docs/adr/0003), and not pactl: a program run for each question costs 10 ms and hears of a new
device too late to make it quiet before it sounds (docs/adr/0019).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from base.tasks import ended
from machine.errors import UnavailableError
from machine.pulse_wire import (
    COOKIE_BYTES,
    ERRORS,
    HEAD,
    SUBSCRIBE_MASK,
    VERSION,
    Command,
    PulseWireError,
    Reader,
    Writer,
    read_event,
    read_head,
)

# A server answers in a millisecond. One that systemd's socket starts takes a second or two on a
# Pi; a hung one must not block a request.
ANSWER_SECONDS = 3.0
PORT = 4713

# Of ERRORS: the sink that a message names is not there (any more).
_NO_SINK = frozenset({5, 15})

_log = logging.getLogger(__name__)


class NoSuchSinkError(UnavailableError):
    """The sink that a message names has gone."""


def addresses(environment: Mapping[str, str]) -> list[str]:
    """Return where the sound server is looked for, as in PULSE_SERVER: paths, or tcp:host:port."""
    if servers := environment.get("PULSE_SERVER", "").split():
        # A prefix in braces names the machine for which the address is meant.
        return [server.rpartition("}")[2].removeprefix("unix:") for server in servers]
    runtime = environment.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    folder = environment.get("PULSE_RUNTIME_PATH", f"{runtime}/pulse")
    return [f"{folder}/native", "/run/pulse/native"]


def is_there(address: str) -> bool:
    """Return whether a server may be at ``address``: its socket exists, or it is on the network.

    One in a folder that we may not look into is none of ours: ProtectHome= of the agent's unit closes /run/user.
    """
    return not address.startswith("/") or os.path.exists(address)  # noqa: PTH110  # each look at the level asks


def read_cookie(environment: Mapping[str, str]) -> bytes:
    """Return the key that the server may ask for; without one, zeros: our user may do without."""
    home = Path(environment.get("HOME", "/nonexistent"))
    places = [home / ".config/pulse/cookie", home / ".pulse-cookie"]
    if own := environment.get("PULSE_COOKIE"):
        places.insert(0, Path(own))
    for place in places:
        with contextlib.suppress(OSError):
            if len(found := place.read_bytes()[:COOKIE_BYTES]) == COOKIE_BYTES:
                return found
    return bytes(COOKIE_BYTES)


class PulseConnection:
    """One connection; after its end it is of no more use."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        on_change: Callable[[], None],
    ) -> None:
        """Use `open`."""
        self._reader, self._writer = streams
        self._on_change = on_change
        self._tags = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Reader]] = {}
        self._end_reason = ""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, address: str, on_change: Callable[[], None]) -> PulseConnection:
        """Connect, and call ``on_change`` when sinks or defaults change, and at the end.

        Raises:
            UnavailableError: no server answers at ``address``, or it refuses us.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                made = cls(await _connect(address), on_change)
        except (OSError, ValueError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no answer"
            raise UnavailableError(f"sound server {address}: {reason}") from error
        try:
            await made._greet()
        except BaseException:
            await made.close()
            raise
        return made

    @property
    def alive(self) -> bool:
        """Whether the server is there, as far as is known."""
        return not self._end_reason

    def message(self, command: Command) -> Writer:
        """Begin a message."""
        return Writer(command, next(self._tags))

    async def request(self, *messages: Writer) -> list[Reader]:
        """Send messages in one go, and return their answers.

        Raises:
            UnavailableError: the server refuses one, has gone, or gave no answer in time; the
                connection then ends.
        """
        answers = [self._expect(message.tag) for message in messages]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._writer.write(b"".join(message.to_bytes() for message in messages))
                await self._writer.drain()
                return list(await asyncio.gather(*answers))
        except (OSError, TimeoutError) as error:
            self._end(f"no answer in {ANSWER_SECONDS:g} s")
            raise UnavailableError(f"sound server: {self._end_reason}") from error
        finally:
            for message, answer in zip(messages, answers, strict=True):
                self._waiting.pop(message.tag, None)
                answer.cancel()

    async def close(self) -> None:
        """End the connection."""
        self._end("closed")
        await ended(self._reading)

    async def _greet(self) -> None:
        auth = self.message(Command.AUTH).word(VERSION).blob(read_cookie(os.environ))
        await self.request(auth)
        name = {"application.name": "story-agent"}
        await self.request(
            self.message(Command.SET_CLIENT_NAME).properties(name),
            self.message(Command.SUBSCRIBE).word(SUBSCRIBE_MASK),
        )

    def _expect(self, tag: int) -> asyncio.Future[Reader]:
        if self._end_reason:
            raise UnavailableError(f"sound server: {self._end_reason}")
        answer = self._waiting[tag] = asyncio.get_running_loop().create_future()
        return answer

    async def _read(self) -> None:
        reason = "has ended"
        try:
            while True:
                size, is_command = read_head(await self._reader.readexactly(HEAD.size))
                body = await self._reader.readexactly(size)
                if is_command:
                    self._take(Reader(body))
        except PulseWireError as error:
            reason = f"cannot be understood: {error}"
            _log.warning("sound server: %s", reason)
        except (OSError, EOFError):
            pass
        self._end(reason)

    def _take(self, reader: Reader) -> None:
        command, tag = reader.word(), reader.word()
        if command == Command.SUBSCRIBE_EVENT:
            if read_event(reader):
                self._on_change()
            return
        answer = self._waiting.get(tag)
        if answer is None or answer.done():
            return
        if command == Command.REPLY:
            answer.set_result(reader)
        else:
            code = reader.word() if command == Command.ERROR else 0
            kind = NoSuchSinkError if code in _NO_SINK else UnavailableError
            answer.set_exception(kind(f"sound server: {ERRORS.get(code, f'error {code}')}"))

    def _end(self, reason: str) -> None:
        if self._end_reason:
            return
        self._end_reason = reason
        self._writer.transport.abort()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(UnavailableError(f"sound server: {reason}"))
        self._on_change()


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("/"):
        return await asyncio.open_unix_connection(address)
    host, _, port = address.removeprefix("tcp:").partition(":")
    return await asyncio.open_connection(host, int(port or PORT))
