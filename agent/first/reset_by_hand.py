"""A factory reset without an app or a screen: buttons that are held while the machine starts."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping

from machine.button_settings import Key
from machine.buttons import Held, HeldAtStart
from resources.announce.cues import Cue

# The reset starts the agent anew, maybe under hands that still hold.
ENV_DONE = "STORY_AGENT_RESET_DONE"
# Seconds for the sound to be heard before the agent ends.
CUE_SECONDS = 1.5
# Levels that come later than this after the start are no levels of the start: a chip was plugged in.
START_SECONDS = 10.0

_log = logging.getLogger(__name__)


class ResetByHand:
    """Hears what is held at the start; warns by a sound, and resets unless it is let go."""

    def __init__(
        self,
        keys: frozenset[Key],
        seconds: float,
        say: Callable[[Cue], object],
        reset: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call ``reset`` when all ``keys`` were held for ``seconds``, after a cue by ``say``."""
        self._held = HeldAtStart(keys, seconds)
        self._say = say
        self._reset = reset
        self._clock = clock
        self._made_at = clock()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_off = ENV_DONE in os.environ

    def begin(self, levels: Mapping[Key, bool]) -> None:
        """Take the levels of a source that was just opened."""
        now = self._clock()
        if not self._is_off and now - self._made_at <= START_SECONDS:
            self._held.begin(levels, now)
            self._plan()

    def release(self, key: Key) -> None:
        """Take that ``key`` was let go."""
        self._held.release(key)
        self._plan()

    def close(self) -> None:
        """Wait for nothing any more; a reset that has begun goes on."""
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self) -> None:
        self.close()
        due = self._held.due()
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - self._clock()), self.tick)

    def tick(self) -> None:
        """Look whether the time is over."""
        match self._held.tick(self._clock()):
            case Held.WARNED:
                _log.warning(
                    "buttons: held at the start: a factory reset follows unless they are let go"
                )
                self._say(Cue.TIMER_SOON)
            case Held.DONE:
                self._say(Cue.DONE)
                self._task = asyncio.create_task(self._carry_out())
            case None:
                pass
        self._plan()

    async def _carry_out(self) -> None:
        await asyncio.sleep(CUE_SECONDS)
        try:
            await self._reset()
            os.environ[ENV_DONE] = "1"
        except OSError as error:
            _log.error("factory reset: the wish cannot be stored: %s", error.strerror)
            self._say(Cue.ERROR)
