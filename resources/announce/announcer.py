"""Says cues one after the other, beside what plays: never above the machine's level, never late, never stuck."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from machine.cue_player import CuePlayer
from machine.errors import ResourceError, UnavailableError
from resources.announce.cues import MANNERS, NOTICES, Cue, Saying, decide
from resources.announce.files import SoundFiles
from resources.announce.line import Line
from resources.announce.settings import Kind

# Before a cue the level is put on a sound device that has come; a mixer that hangs delays it no longer.
PREPARE_SECONDS = 2.0
# Between two looks whether the microphone is closed.
HEARS_SECONDS = 0.2
# What ends with a fault after this was heard in part, and is not said again.
HEARD_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Announcer:
    """The machine's own voice; `say` returns at once."""

    def __init__(
        self,
        player: CuePlayer,
        files: SoundFiles,
        *,
        kind: Kind = Kind.ALL,
        is_night: Callable[[], bool] = lambda: False,
        prepare: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Play ``files`` on ``player``.

        Args:
            player: plays one file at a time.
            files: each cue's file.
            kind: which cues are heard.
            is_night: whether the machine is to be quiet now.
            prepare: puts the machine's level on the sound device; a cue whose level is unknown is not played.
            clock: monotonic seconds.
        """
        self._player = player
        self._files = files
        self._kind = kind
        self._is_night = is_night
        self._prepare = prepare
        self._clock = clock
        self._line = Line()
        self._task: asyncio.Task[None] | None = None
        self._sound: asyncio.Task[bool] | None = None
        self._later: set[asyncio.Task[bool]] = set()
        self.last_fault: str | None = None
        self.hears: Callable[[], bool] = lambda: False
        """Whether the microphone is open, which never is for long."""

    @property
    def name(self) -> str:
        """One line for people: how cues are heard."""
        return f"{self._player.name}, {self._files.language}, {self._kind}"

    @property
    def sounds(self) -> bool:
        """Whether a cue is heard just now."""
        return self._sound is not None

    def say(self, cue: Cue, then: Sequence[Cue | Path] = ()) -> asyncio.Future[bool]:
        """Let ``cue`` be heard soon; called in the event loop.

        Args:
            cue: what to say.
            then: what follows at once, only where ``cue`` is a sentence: prompts, and files of the caller's.

        Returns:
            The result, which nobody needs to wait for: whether it was heard to its end. It is False at once for a
            cue that is not said at night, or that waits or was said already (docs/sounds.md).
        """
        if cue in NOTICES and self.hears():
            later = asyncio.create_task(self._say_later(cue))
            self._later.add(later)
            later.add_done_callback(self._later.discard)
            return later
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def tell(result: bool) -> None:  # noqa: FBT001  # a callback's only argument
            if not heard.done():  # cancelled by whoever waited
                heard.set_result(result)

        saying = decide(cue, self._kind, night=self._is_night())
        if saying is not None and saying.spoken:
            saying = replace(saying, then=tuple(then))
        if saying is None or not self._line.offer(saying, self._clock(), tell):
            tell(False)
        else:
            self._begin(at_once=MANNERS[saying.name].at_once)
        return heard

    async def _say_later(self, cue: Cue) -> bool:
        while self.hears():  # noqa: ASYNC110  # it has a deadline, and a fifth of a second is soon enough
            await asyncio.sleep(HEARS_SECONDS)
        return await self.say(cue)

    def hush(self) -> None:
        """End what is being said, and drop what waits."""
        self._line.clear()
        if self._sound is not None:
            self._sound.cancel()

    async def close(self) -> None:
        """Be silent for good."""
        self.hush()
        tasks = [*self._later, *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, *, at_once: bool) -> None:
        if at_once and self._sound is not None:
            self._sound.cancel()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Say what waits; ends when nothing waits."""
        while (saying := self._line.take(self._clock())) is not None:
            sound = self._sound = asyncio.create_task(self._sounds(saying))
            heard = False
            try:
                await asyncio.wait([sound])
                heard = not sound.cancelled() and sound.result()
            finally:
                sound.cancel()  # when the agent ends
                self._sound = None
                self._line.end(self._clock(), heard=heard)

    async def _sounds(self, saying: Saying) -> bool:
        """Return whether it was heard; a fault is logged, once while it lasts."""
        try:
            if self._prepare is not None:
                async with asyncio.timeout(PREPARE_SECONDS):
                    await self._prepare()
            for part in (saying.name, *saying.then):
                await self._play_part(part, saying)
        except (ResourceError, TimeoutError) as error:
            self._note(str(error) or f"the mixer gave no answer in {PREPARE_SECONDS:g} s")
            return False
        self._note(None)
        return True

    async def _play_part(self, part: Cue | Path, saying: Saying) -> None:
        if isinstance(part, Path):
            await self._player.play(part, saying.gain)
            return
        said = replace(saying, name=part, then=())
        await self._play(await asyncio.to_thread(self._files.find, said), said)

    async def _play(self, path: Path, saying: Saying) -> None:
        """Play ``path``; a maker's file that is no sound costs no word: the package's is played."""
        begun = self._clock()
        try:
            await self._player.play(path, saying.gain)
        except UnavailableError as error:
            own = self._files.packaged(saying)
            if path == own or self._clock() - begun > HEARD_SECONDS:
                raise
            _log.warning("cues: %s: %s", path, error)
            await self._player.play(own, saying.gain)

    def _note(self, fault: str | None) -> None:
        if fault is not None and fault != self.last_fault:
            _log.warning("cues: not heard: %s", fault)
        self.last_fault = fault
