"""Says which titles come nearest to one that was not found: a prompt, then their names (docs/listening.md).

Imported when the first offer comes. The names are made by a program of the machine, if it has one
(`machine.speech_program`); a machine that cannot say all of them says that nothing was found.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from machine.errors import UnavailableError
from machine.speech_program import SpeechProgram, SpokenAs
from resources.announce.cues import Cue
from wire.answers import Title

# Ten syllables, or so many letters, take 4 s: two names, the prompt and the numbers fit into the state's deadline.
LATIN_LIMIT = 40
SYLLABLES_LIMIT = 10


class Mouth(Protocol):
    """What says prompts (`resources.announce.voice.Voice`)."""

    @property
    def says_sentences(self) -> bool:
        """Whether prompts are heard as such."""

    def say(self, cue: Cue, then: Sequence[Cue | Path] = ()) -> asyncio.Future[bool]:
        """Let ``cue`` be heard, and at once what follows it."""

    def hush(self) -> None:
        """End what is being said."""

    def note_hand(self) -> None:
        """Note that somebody is at the machine."""


class Names:
    """Says titles with the machine's own voice."""

    def __init__(self, mouth: Mouth, speech: SpeechProgram | None = None) -> None:
        """Let ``mouth`` say what ``speech`` makes."""
        self._mouth = mouth
        self._speech = speech or SpeechProgram()

    def can_tell(self, titles: Sequence[Title]) -> bool:
        """Return whether each of ``titles`` has a name that can be said here."""
        if not (titles and self._mouth.says_sentences and self._speech.is_there):
            return False
        return all(said_as(title) is not None for title in titles)

    async def tell(self, titles: Sequence[Title]) -> bool:
        """Say that there is no such title, and which come nearest; return whether that was heard.

        What cannot be made is not offered: then the child hears that nothing was found. Cancelled, it is
        silent at once.
        """
        self._mouth.note_hand()
        with tempfile.TemporaryDirectory(prefix="story-names-") as folder:
            try:
                names = [
                    await self._make(title, Path(folder) / f"{n}.wav")
                    for n, title in enumerate(titles)
                ]
            except UnavailableError:
                await self._mouth.say(Cue.NOT_FOUND)
                return False
            saying = self._mouth.say(Cue.OFFER, parts(names))
            try:
                return await saying
            except asyncio.CancelledError:
                self._mouth.hush()
                raise

    async def _make(self, title: Title, path: Path) -> Path:
        said = said_as(title)
        if said is None:
            raise UnavailableError(f"{title.title}: nobody knows how it is said")
        await self._speech.speak(*said, path)
        return path


def parts(names: Sequence[Path]) -> list[Cue | Path]:
    """Return what follows the prompt: of two names each after its number."""
    if len(names) < 2:
        return list(names)
    numbers = (Cue.FIRST, Cue.SECOND)
    return [part for pair in zip(numbers, names, strict=True) for part in pair]


def said_as(title: Title) -> tuple[str, SpokenAs] | None:
    """Return the words of a title's name and how they are read, None if nobody knows."""
    if title.pinyin:
        return " ".join(title.pinyin.split()[:SYLLABLES_LIMIT]), SpokenAs.PINYIN
    if title.title.isascii() and any(map(str.isalnum, title.title)):
        return title.title[:LATIN_LIMIT], SpokenAs.LATIN
    return None
