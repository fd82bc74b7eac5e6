"""Hands-free: leaves the microphone open for the wake word, and listens to the sentence after it.

A wake word is one more way to `agent.voice.ears.Ears.listen`: what holds for the button holds for it. The microphone
is open for it only while it may be (its switch, the parents' hours), while there is a word to hear, and, unless the
settings say otherwise, while the machine itself is silent. Off by default (docs/wake.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from agent.voice.session import ListeningError
from machine.microphone import MicrophoneError
from machine.shared_microphone import SharedMicrophone
from machine.wake_process import Hit, WakeProcess, render

# How soon a story's end or the parents' hour is noticed; the switch does not wait for it.
LOOK_SECONDS = 1.0
# Who records a word has the microphone for so long after its last take: `story-agent wake enrol`.
PAUSE_SECONDS = 30.0

_log = logging.getLogger(__name__)

Recall = Callable[[], Sequence[bytes]]
"""Returns the sound since the wake word's end, the newest block last."""
Listen = Callable[[Recall], Awaitable[object]]


class Wake:
    """Keeps the microphone open for the wake word; `run` it."""

    def __init__(
        self,
        microphone: SharedMicrophone,
        make_process: Callable[[Callable[[Hit], None]], WakeProcess],
        listen: Listen,
        *,
        wanted: Callable[[], bool],
        deaf: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hear with ``microphone``.

        Args:
            microphone: shared with who listens to the sentence.
            make_process: makes the child's keeper, told of hits by its argument.
            listen: listens to what follows a wake word; returns when that is over.
            wanted: whether the microphone may be open for it now.
            deaf: whether what is heard now is not to be judged: the machine itself sounds, or listens already.
            clock: monotonic seconds.
        """
        self._microphone = microphone
        self._process = make_process(self._on_hit)
        self._listen = listen
        self._wanted = wanted
        self._deaf = deaf
        self._clock = clock
        self._open: asyncio.Task[None] | None = None
        self._adjusting = asyncio.Lock()
        self._changed = asyncio.Event()
        self._fed = False
        self._paused_until = float("-inf")
        self._sessions: set[asyncio.Task[None]] = set()
        self._fault = ""

    @property
    def is_open(self) -> bool:
        """Whether the microphone is open for the wake word."""
        return self._open is not None

    async def run(self) -> None:
        """Listen for the wake word until cancelled; the microphone is closed and the child has ended then."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._process.run())
                group.create_task(self._keep_adjusting())
        finally:
            await self._close()

    async def _keep_adjusting(self) -> None:
        while True:
            self._changed.clear()
            await self.adjust()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def adjust(self) -> None:
        """Open or close the microphone as is wanted now; it is closed when this returns if it must be."""
        async with self._adjusting:
            if self._open is not None and self._open.done():
                self._open = None
            paused = self._clock() < self._paused_until
            if paused or not (self._wanted() and self._process.listens):
                await self._close()
            elif self._open is None:
                keeping = self._microphone.keep_open(self._take, self._on_fault)
                self._open = asyncio.create_task(keeping)

    async def _close(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            opened.cancel()
            await asyncio.wait([opened])
            self._process.reset()
            self._fed = False

    async def pause(self) -> None:
        """Leave the microphone to who records a word, for `PAUSE_SECONDS`; it is closed when this returns."""
        self._paused_until = self._clock() + PAUSE_SECONDS
        await self.adjust()

    def words_changed(self) -> None:
        """Read the words again, and go on: one was recorded or forgotten."""
        self._paused_until = float("-inf")
        self._process.again()

    def _take(self, block: bytes) -> None:
        """Take a block from the microphone."""
        if self._deaf():
            if self._fed:
                self._process.reset()
            self._fed = False
            return
        self._fault = ""
        self._fed = True
        self._process.feed(block)

    def _on_fault(self, error: MicrophoneError) -> None:
        self._fault = str(error)
        self._process.reset()
        self._fed = False

    def _on_hit(self, hit: Hit) -> None:
        if self._deaf() or not self._wanted():
            return
        since = self._microphone.blocks - max(0, self._process.blocks - hit.block)
        _log.info("wake: %s", hit.word)
        task = asyncio.create_task(self._answer(lambda: self._microphone.since(since)))
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

    async def _answer(self, recall: Recall) -> None:
        try:
            await self._listen(recall)
        except ListeningError as error:  # a button was as fast
            _log.info("wake: %s", error)

    def status(self) -> Mapping[str, object]:
        """Return what is shown in ``status``."""
        told = render(self._process.state)
        return {"open": self.is_open, **told, "fault": self._fault or told["fault"]}
