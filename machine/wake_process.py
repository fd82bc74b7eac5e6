"""The wake word's child process as the daemon holds it: blocks in, hits out, killed when it does not keep up.

It may die or hang; then it is started again after a back-off, and the fault has a name. The microphone is not its
business: `machine.shared_microphone` reads that, so a child that dies takes no sound from anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Any

from base.backoff import Backoff
from machine.capture_child import BLOCK_BYTES
from machine.mpv_options import build_environment
from machine.wake_protocol import BLOCK, EXIT_NO_WORDS, RESET
from wire.records import dataclass

CHILD = "machine.wake_child"
# The models load in 0.1 s on a PC, and a Pi Zero is twenty times slower.
READY_SECONDS = 20.0
# What may wait for it: two seconds of sound beside the pipe's 64 KiB. Later than that, a cue is no answer.
WAITING_BYTES = 64 * 1024
# A line is some hundred bytes.
LINE_BYTES = 16 * 1024
BACKOFF_FIRST, BACKOFF_MAX = 1.0, 60.0
# A child that has lived so long was no failed start: the next one is tried soon.
STEADY_SECONDS = 60.0

_log = logging.getLogger(__name__)


class WakeFault(StrEnum):
    """Why no wake word is heard; the values are counted in ``status``."""

    NO_MODELS = "no_models"
    """The extra ``[wake]`` is missing, or not for this machine."""
    NO_WORDS = "no_words"
    """No word is recorded, or none has a card that is good enough."""
    NOT_STARTED = "not_started"
    """The process cannot be started, or is not ready in time."""
    ENDED = "ended"
    """It died."""
    BEHIND = "behind"
    """It hangs, or the machine is too slow for it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A wake word was said.

    Attributes:
        word: its name.
        block: the number of the last block that was needed to know it, from 1 since the child's start.
        share: of the threshold; the smaller, the surer.
    """

    word: str
    block: int
    share: float


class WakeProcessError(Exception):
    """No wake word is heard; ``fault`` says why."""

    def __init__(self, fault: WakeFault, text: str) -> None:
        super().__init__(f"wake: {text}")
        self.fault = fault


@dataclass(slots=True)
class WakeState:
    """What is shown of it in ``status``.

    Attributes:
        words: what is listened for.
        unused: words and files that are not, and why.
        hits, near: how often a word was heard, and almost heard.
        faults: how often each fault came.
        fault: the last fault, "" while all is well.
    """

    words: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)
    hits: dict[str, int] = field(default_factory=dict)
    near: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    fault: str = ""


class WakeProcess:
    """Keeps one child; `run` it, and `feed` it while `listens`."""

    def __init__(
        self,
        command: Sequence[str],
        on_hit: Callable[[Hit], None],
        *,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float],
    ) -> None:
        """Run ``command`` (`wake_command`); ``clock`` gives monotonic seconds."""
        self._command = tuple(command)
        self._on_hit = on_hit
        self._backoff = backoff or Backoff(BACKOFF_MAX, first=BACKOFF_FIRST)
        self._sleep = sleep
        self._clock = clock
        self._process: Process | None = None
        self._ready = False
        self._again = asyncio.Event()
        self._behind = False
        self.state = WakeState()
        self.blocks = 0
        """How many the child that runs has been given."""

    @property
    def listens(self) -> bool:
        """Whether a child is ready for blocks."""
        return self._ready

    def feed(self, block: bytes) -> None:
        """Give it 640 bytes; it is killed if it does not keep up."""
        if self._ready and self._send(BLOCK + block):
            self.blocks += 1

    def reset(self) -> None:
        """Tell it that what comes next does not follow what came."""
        if self._ready:
            self._send(RESET + bytes(BLOCK_BYTES))

    def again(self) -> None:
        """Start it again at once: the words have changed."""
        self._again.set()

    def _send(self, message: bytes) -> bool:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return False
        process.stdin.write(message)
        if process.stdin.transport.get_write_buffer_size() > WAITING_BYTES:
            self._ready = False
            self._behind = True
            _kill(process)
            return False
        return True

    async def run(self) -> None:
        """Keep a child until cancelled; none is left behind."""
        while True:
            began = self._clock()
            try:
                await self._live()
            except WakeProcessError as error:
                self._note(error)
            if self._clock() - began > STEADY_SECONDS or self._again.is_set():
                self._backoff.reset()
            await self._pause()

    def _note(self, error: WakeProcessError) -> None:
        faults = self.state.faults
        faults[error.fault] = faults.get(error.fault, 0) + 1
        if self.state.fault != str(error):
            _log.warning("%s", error)
        self.state.fault = str(error)

    async def _pause(self) -> None:
        """Wait for the next try; without words or models, until they may have changed."""
        waiting = asyncio.ensure_future(self._sleep(self._backoff.next()))
        told = asyncio.create_task(self._again.wait())
        try:
            await asyncio.wait([waiting, told], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            told.cancel()
        self._again.clear()

    async def _live(self) -> None:
        """Run one child to its end; raises WakeProcessError unless it was told to end."""
        process = await self._start()
        self._process, self._behind, self.blocks = process, False, 0
        again = asyncio.create_task(self._again.wait())
        reading = asyncio.create_task(self._read(process))
        try:
            await asyncio.wait([again, reading], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
                raise self._explain(await process.wait())
        finally:
            self._ready, self._process = False, None
            again.cancel()
            reading.cancel()
            _kill(process)
            await asyncio.shield(_end(process))

    async def _start(self) -> Process:
        environment = build_environment(os.environ) | {
            name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ
        }
        try:
            return await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment,
                start_new_session=True, limit=LINE_BYTES,
            )  # fmt: skip
        except OSError as error:
            reason = f"the child cannot be started: {error.strerror}"
            raise WakeProcessError(WakeFault.NOT_STARTED, reason) from error

    async def _read(self, process: Process) -> None:
        """Take what the child tells until it ends; raises WakeProcessError."""
        if process.stdout is None:
            raise TypeError("process: expected one with pipes")
        try:
            async with asyncio.timeout(READY_SECONDS):
                line = await process.stdout.readline()
            while line:
                self._take(json.loads(line))
                line = await process.stdout.readline()
        except TimeoutError:
            reason = f"the child is not ready in {READY_SECONDS:g} s"
            raise WakeProcessError(WakeFault.NOT_STARTED, reason) from None
        except (ValueError, KeyError, TypeError) as error:  # also a line without an end
            reason = f"the child said what cannot be read: {error}"
            raise WakeProcessError(WakeFault.ENDED, reason) from error

    def _take(self, told: Mapping[str, Any]) -> None:
        match told["kind"]:
            case "ready":
                self.state.words, self.state.unused = told["words"], told["unused"]
                self._ready = bool(told["words"])
                self.state.fault = ""
            case "fault":
                raise WakeProcessError(WakeFault.NO_MODELS, told["text"])
            case "hit":
                _count(self.state.hits, told["word"])
                self._on_hit(Hit(told["word"], told["block"], told["share"]))
            case "near":
                _count(self.state.near, told["word"])

    def _explain(self, code: int) -> WakeProcessError:
        if self._behind:
            reason = "the child did not keep up with the sound, and was ended"
            return WakeProcessError(WakeFault.BEHIND, reason)
        if code == EXIT_NO_WORDS:
            unused = "; ".join(f"{name}: {why}" for name, why in self.state.unused.items())
            reason = f"no word is listened for ({unused or 'none is recorded'}): story-agent wake enrol NAME"
            return WakeProcessError(WakeFault.NO_WORDS, reason)
        return WakeProcessError(WakeFault.ENDED, f"the child ended with {code}")


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _end(process: Process) -> None:
    """Wait for the end of a process that was killed."""
    if process.stdin is not None:
        process.stdin.close()
    # What it wrote and nobody read would keep its pipe, and asyncio's wait, open for ever.
    while process.stdout is not None and await process.stdout.read(LINE_BYTES):
        pass
    await process.wait()


def wake_command(state: Path, ready: str = "") -> tuple[str, ...]:
    """Return the command of the child that listens for the words of a state folder, and for a ready one."""
    return (sys.executable, "-P", "-m", CHILD, str(state), ready)


def render(state: WakeState) -> Mapping[str, Any]:
    """Return what ``status`` shows."""
    return {
        "words": ", ".join(state.words) or None, "unused": dict(state.unused),
        "hits": dict(state.hits), "near": dict(state.near), "faults": dict(state.faults),
        "fault": state.fault or None,
    }  # fmt: skip
