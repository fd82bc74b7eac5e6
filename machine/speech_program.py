"""Says names that no packaged sound has, where espeak-ng is installed: a program that writes a WAV file.

It is no part of the package and no dependency: a machine without it says the prompts that it has.
"""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from pathlib import Path

from machine.errors import UnavailableError
from machine.programs import run_program

PROGRAM = "espeak-ng"
# A name takes 0.03 s on a PC. Somebody waits for it, so that a machine that is too busy says none.
SPEAK_SECONDS = 2.5
# As the prompts are made (docs/sounds.md): words per minute, and pitch.
SPEED, PITCH = 145, 60


class SpokenAs(StrEnum):
    """How words are to be read; the value is espeak-ng's voice."""

    PINYIN = "cmn-latn-pinyin+f2"
    """Mandarin, as syllables with tone numbers: the voice for characters says pinyin's letters in English."""
    LATIN = "en+f2"
    """Words in Latin letters."""


# What gives the prompts' -22 LUFS, of the 200 that espeak-ng has.
AMPLITUDES = {SpokenAs.PINYIN: 40, SpokenAs.LATIN: 60}


class SpeechProgram:
    """espeak-ng, looked for at each use."""

    @property
    def is_there(self) -> bool:
        """Whether names can be said."""
        return shutil.which(PROGRAM) is not None

    async def speak(self, words: str, spoken_as: SpokenAs, path: Path) -> None:
        """Write ``words`` as a WAV file to ``path``; raises UnavailableError if that fails."""
        program = shutil.which(PROGRAM)
        if program is None:
            raise UnavailableError(f"{PROGRAM}: not installed")
        command = [
            program, "-v", spoken_as, "-s", str(SPEED), "-p", str(PITCH), "-a", str(AMPLITUDES[spoken_as]),
            "-w", str(path), "--", words,
        ]  # fmt: skip
        await run_program(command, SPEAK_SECONDS, os.environ)
