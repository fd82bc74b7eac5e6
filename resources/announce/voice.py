"""The machine's own voice: what it says about its stories by itself, and what others let it say.

What says it is made at the first word: a machine that has nothing to say starts no slower for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from resources.announce.settings import Kind, SoundsSettings
from resources.playing.events import Ended, Event, Refused

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from resources.announce.announcer import Announcer
    from resources.announce.cues import Cue
    from resources.playing.teller import Teller

# After a button or a sentence the cloud's answer comes within this.
HAND_SECONDS = 15.0


class Limits(Protocol):
    """How loud the machine may be."""

    @property
    def loudest(self) -> int:
        """The loudest step now."""


class Voice:
    """Says cues, and listens to the teller."""

    def __init__(
        self,
        settings: SoundsSettings,
        prepare: Callable[[], Awaitable[None]],
        *,
        is_night: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Speak as ``settings`` say.

        Args:
            settings: the maker's.
            prepare: puts the machine's level on the sound device before a cue.
            is_night: whether the machine is to be quiet now.
            clock: monotonic seconds.
        """
        self._settings = settings
        self._prepare = prepare
        self._is_night = is_night
        self._clock = clock
        self._hand = float("-inf")
        self.hears: Callable[[], bool] = lambda: False
        """Whether the microphone is open; set by who opens it."""

    @property
    def speaks(self) -> bool:
        """Whether any cue is heard at all."""
        return self._settings.kinds is not Kind.NONE

    @property
    def says_sentences(self) -> bool:
        """Whether prompts are heard as such, and not as tones."""
        return self._settings.kinds is Kind.ALL

    @property
    def sounds(self) -> bool:
        """Whether the machine says something just now."""
        return "announcer" in self.__dict__ and self.announcer.sounds

    @property
    def state(self) -> str:
        """One line for people: how cues are heard, and why the last one was not."""
        if "announcer" not in self.__dict__:
            return f"{self._settings.kinds}: nothing was said yet"
        fault = self.announcer.last_fault
        return self.announcer.name + (f"; not heard: {fault}" if fault else "")

    @cached_property
    def announcer(self) -> Announcer:
        """What says cues one after the other."""
        from machine.cue_player import ProgramCuePlayer  # noqa: PLC0415  # see above
        from resources.announce.announcer import Announcer  # noqa: PLC0415
        from resources.announce.files import SoundFiles, choose_language  # noqa: PLC0415

        language = choose_language(self._settings.language, os.environ)
        announcer = Announcer(
            ProgramCuePlayer(), SoundFiles(self._settings.folder, language),
            kind=self._settings.kinds, is_night=self._is_night, prepare=self._prepare, clock=self._clock,
        )  # fmt: skip
        announcer.hears = lambda: self.hears()  # noqa: PLW0108  # it may be set later
        return announcer

    def say(self, cue: Cue, then: Sequence[Cue | Path] = ()) -> asyncio.Future[bool]:
        """Let ``cue`` be heard soon; see `Announcer.say`."""
        return self.announcer.say(cue, then)

    def hush(self) -> None:
        """End what is being said, and drop what waits."""
        if "announcer" in self.__dict__:
            self.announcer.hush()

    def note_hand(self) -> None:
        """Note that somebody is at the machine: a button was pressed, or a sentence was said."""
        self._hand = self._clock()

    def hear(self, event: Event) -> None:
        """Take an event of the teller, and say why nothing plays."""
        if not isinstance(event, Refused | Ended):
            return
        from resources.announce.reactions import react  # noqa: PLC0415  # see above

        near = self._clock() - self._hand <= HAND_SECONDS
        if (cue := react(event, told=near or not self._is_night())) is not None:
            self.say(cue)

    async def note_turn(self, limits: Limits, teller: Teller, step: int) -> None:
        """Let hear how loud ``step`` is, to which a knob was turned while nothing plays."""
        self.note_hand()
        if teller.playing:
            return
        from resources.announce.cues import Cue  # noqa: PLC0415  # see above

        self.say(Cue.LIMIT if step >= limits.loudest else Cue.BLIP)

    def note_locked(self, _reason: str) -> None:
        """Tell the hand at a button that the child lock is on."""
        from resources.announce.cues import Cue  # noqa: PLC0415  # see above

        self.note_hand()
        self.say(Cue.LOCKED)

    async def close(self) -> None:
        """Be silent for good."""
        if "announcer" in self.__dict__:
            await self.announcer.close()
