"""The microphone as the daemon reads it: 20 ms blocks from a child process that may be killed.

Every back end keeps one contract (`machine.capture_child`): 640 bytes a block, and the process ends when
it can record no more. What the sound server's death, freeze or change of device looks like from here was
measured (docs/listening.md).
"""

from __future__ import annotations

import asyncio
import logging
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Protocol

from base.backoff import Backoff
from base.tasks import finished
from machine.capture_child import BLOCK_BYTES, BLOCK_SECONDS
from machine.capture_source import read_source
from machine.light import Light, NoLight
from machine.mpv_options import build_environment
from machine.programs import kill
from wire.records import dataclass

# PortAudio in a new process takes 0.1 to 0.2 s here, and a null sink's monitor 2 s; a Pi is slower.
FIRST_BLOCK_SECONDS = 3.0
# Blocks come every 20 ms, in bursts of up to 54 ms with PipeWire; a frozen server gives none.
NEXT_BLOCK_SECONDS = 1.0
# A live microphone has noise; exact zeros are a muted source or a dead one.
ZEROS_SECONDS = 5.0
# How often the sound server is asked which source it gives us.
SOURCE_SECONDS = 2.0
BACKOFF_FIRST, BACKOFF_MAX = 0.2, 5.0
# Of a child's messages, for the fault's text.
WORDS_BYTES = 400
ZEROS = bytes(BLOCK_BYTES)

_log = logging.getLogger(__name__)


class FaultKind(StrEnum):
    """Why nothing can be heard; the values are shown in ``status``."""

    NO_BACK_END = "no_back_end"
    """No program or library that records is installed, or it cannot be started."""
    NO_DEVICE = "no_device"
    """The device that was asked for is not there, or gives none of the rates."""
    NO_FIRST_BLOCK = "no_first_block"
    """The device is open and gave nothing."""
    ENDED = "ended"
    """The sound server died, or the device was unplugged."""
    FROZEN = "frozen"
    """Blocks came and stopped, and nobody says why: the server or the device hangs."""
    ZEROS = "zeros"
    """Exact zeros alone: a source that is muted, or a device that is dead."""
    MOVED = "moved"
    """The sound server gives us another source than at first, which may be what the machine plays."""
    BEHIND = "behind"
    """This process did not read for two seconds, so that all would be late."""


_MEANING = {
    FaultKind.NO_BACK_END: "PortAudio is not installed (sounddevice and libportaudio2)",
    FaultKind.NO_DEVICE: "no such device, or it records at no rate that can be converted",
    FaultKind.ENDED: "the sound server or the device went away",
    FaultKind.BEHIND: "it was not read in time",
}


class MicrophoneError(Exception):
    """Nothing can be heard; ``kind`` says why, the message adds the back end and its words."""

    def __init__(self, kind: FaultKind, text: str) -> None:
        super().__init__(f"microphone: {text}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class BackEnd:
    """A program that records.

    Attributes:
        name: one line for people.
        command: the program and its arguments; empty if nothing that records is installed.
        exits: what its exit codes mean; every other one is ENDED.
        says: words in its messages, and what they mean.
        keep: names of variables that it needs beside those of the player.
    """

    name: str
    command: tuple[str, ...]
    exits: Mapping[int, FaultKind] = field(default_factory=dict)
    says: Mapping[str, FaultKind] = field(default_factory=dict)
    keep: tuple[str, ...] = ()

    def environment(self, all_of: Mapping[str, str]) -> dict[str, str]:
        """Return what the program may see: where the sound server is, no secret."""
        ours = {name: all_of[name] for name in self.keep if name in all_of}
        return build_environment(all_of) | ours | {"LC_ALL": "C"}

    def explain(self, code: int, words: str) -> tuple[FaultKind, str]:
        """Return the kind and the text of an end with exit code ``code`` and these last words."""
        told = next((kind for text, kind in self.says.items() if text in words), FaultKind.ENDED)
        kind = self.exits.get(code, told)
        return kind, f"{self.name}: {_MEANING[kind]} ({words or f'exit code {code}'})"


class Take(Protocol):
    """Takes one block of 640 bytes."""

    def __call__(self, block: bytes, /) -> None:
        """Take it without waiting."""


class Recording:
    """One child that records; `close` it."""

    def __init__(self, back_end: BackEnd, process: Process) -> None:
        """Use `start`."""
        if process.stdin is None or process.stdout is None:
            raise TypeError("process: expected one with pipes")
        self._back_end = back_end
        self._process = process
        self._leash, self._output = process.stdin, process.stdout
        self._blocks = 0
        self._zeros = 0
        self._watching: asyncio.Task[None] | None = None
        self._moved = ""

    @classmethod
    async def start(cls, back_end: BackEnd) -> Recording:
        """Start the child; raises MicrophoneError if that cannot be done."""
        if not back_end.command:
            raise MicrophoneError(FaultKind.NO_BACK_END, back_end.name)
        try:
            process = await asyncio.create_subprocess_exec(
                *back_end.command, stdin=PIPE, stdout=PIPE, stderr=_messages(back_end),
                env=back_end.environment(os.environ), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            reason = f"{back_end.name} cannot be started: {error.strerror}"
            raise MicrophoneError(FaultKind.NO_BACK_END, reason) from error
        return cls(back_end, process)

    async def block(self) -> bytes:
        """Return the next 20 ms; raises MicrophoneError."""
        seconds = NEXT_BLOCK_SECONDS if self._blocks else FIRST_BLOCK_SECONDS
        try:
            async with asyncio.timeout(seconds):
                block = await self._output.readexactly(BLOCK_BYTES)
        except TimeoutError:
            kind = FaultKind.FROZEN if self._blocks else FaultKind.NO_FIRST_BLOCK
            reason = f"{self._back_end.name} gave nothing for {seconds:g} s"
            raise MicrophoneError(kind, reason) from None
        except asyncio.IncompleteReadError:
            raise await self._explain_end() from None
        self._check(block)
        return block

    def _check(self, block: bytes) -> None:
        if not self._blocks:
            self._watching = asyncio.create_task(self._watch_source())
        self._blocks += 1
        self._zeros = self._zeros + 1 if block == ZEROS else 0
        if self._zeros * BLOCK_SECONDS >= ZEROS_SECONDS:
            reason = f"{self._back_end.name} gave exact zeros for {ZEROS_SECONDS:g} s"
            raise MicrophoneError(FaultKind.ZEROS, f"{reason}: it is muted or unplugged")
        if self._moved:
            raise MicrophoneError(FaultKind.MOVED, self._moved)

    async def _watch_source(self) -> None:
        """Compare the source that the server gives us with the first one, as long as it answers."""
        first = await read_source(self._process.pid)
        while first:
            await asyncio.sleep(SOURCE_SECONDS)
            now = await read_source(self._process.pid)
            if now and now != first:
                self._moved = f"the sound server moved it from {first} to {now}"

    async def _explain_end(self) -> MicrophoneError:
        words = bytearray()
        try:
            async with asyncio.timeout(NEXT_BLOCK_SECONDS):
                await self._read_words(words)
                code = await self._process.wait()
        except TimeoutError:  # it closed its output and lives
            code = 0
        line = " ".join(words.decode(errors="replace").split())
        return MicrophoneError(*self._back_end.explain(code, line))

    async def _read_words(self, words: bytearray) -> None:
        """Add what the child says of its end to ``words``: it may come in several pieces."""
        pipe = self._process.stderr
        while pipe is not None and (left := WORDS_BYTES - len(words)) > 0:
            if not (more := await pipe.read(left)):
                return
            words += more

    async def close(self) -> None:
        """Kill the child, and wait for its end: closed is closed."""
        self._leash.close()
        await kill(self._process)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])


def _messages(back_end: BackEnd) -> int:
    # PortAudio's are endless when a server dies, and its exit codes say what is needed.
    return PIPE if back_end.says else DEVNULL


class Microphone:
    """Records until it is told to end, and begins again after every fault."""

    def __init__(
        self,
        back_end: BackEnd,
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        light: Light | None = None,
    ) -> None:
        """Record with ``back_end``; ``sleep`` waits between two tries, ``light`` is on while it is open."""
        self._light = light or NoLight()
        self.back_end = back_end
        self.is_open = False
        """Whether a child runs."""
        self.faults: dict[str, int] = {}
        """How often each fault came since the start."""
        self._backoff = backoff or Backoff(BACKOFF_MAX, first=BACKOFF_FIRST)
        self._sleep = sleep

    @property
    def name(self) -> str:
        """One line for people: what records."""
        return self.back_end.name

    async def keep_open(self, take: Take, tell: Callable[[MicrophoneError], None]) -> None:
        """Give every block to ``take`` and every fault to ``tell`` until cancelled.

        The child has ended when this returns or raises.
        """
        while True:
            try:
                await self._record(take)
            except MicrophoneError as error:
                self.faults[error.kind] = self.faults.get(error.kind, 0) + 1
                _log.warning("%s", error)
                tell(error)
            await self._sleep(self._backoff.next())

    async def _record(self, take: Take) -> None:
        async with self._light.shining():
            recording = await Recording.start(self.back_end)
            self.is_open = True
            try:
                while True:
                    take(await recording.block())
                    self._backoff.reset()
                    # Blocks that have piled up come without a wait: what sends them must have its turn.
                    await asyncio.sleep(0)
            finally:
                try:
                    await finished(recording.close())
                finally:
                    self.is_open = False
