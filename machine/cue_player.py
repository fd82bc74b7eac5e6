"""Plays short sounds beside a story: a program for each, which ends with its sound.

The story's player is left alone: it plays one source at a time. paplay is heard some milliseconds after its start, and
mixing is the sound server's work; without a server mpv plays through ALSA (docs/adr/0023).
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from machine.errors import UnavailableError
from machine.mixers import read_surroundings
from machine.mpv_options import FORMATS, build_environment
from machine.programs import run_program

# The longest prompt has 4 s, and a maker's may have some more; a hung sound server ends none.
PLAY_SECONDS = 10.0
# Both programs' volumes are cubic: 60 dB for a factor of ten (PulseAudio, pa_sw_volume_from_dB; mpv's manual, --volume).
DECIBELS_PER_DECADE = 60.0
PULSE_FULL = 65536

_log = logging.getLogger(__name__)


class CuePlayer(Protocol):
    """Plays one short file at a time."""

    @property
    def name(self) -> str:
        """One line for people: what plays the sounds."""

    async def play(self, path: Path, gain: float) -> None:
        """Play a file to its end, ``gain`` (0 or less) decibels over its own loudness.

        Cancelled, it is silent at once. Raises UnavailableError: nothing was heard to the end.
        """


class NoCuePlayer:
    """For a machine that has neither a sound server nor mpv."""

    name = "no player for cues found: they are not heard"

    async def play(self, path: Path, gain: float) -> None:
        """Say why nothing sounds."""
        del gain
        raise UnavailableError(f"{path.stem}: {self.name}")


class ProgramCuePlayer:
    """Runs paplay where a sound server is, else mpv, and for what is quieter; a server comes and goes, so each time."""

    def __init__(
        self,
        surroundings: Callable[[], str | None] = read_surroundings,
        seconds: float = PLAY_SECONDS,
    ) -> None:
        """Give a sound up after ``seconds``; ``surroundings`` is None while a sound server's socket is there."""
        self._surroundings = surroundings
        self._seconds = seconds

    @property
    def name(self) -> str:
        """The program that would play a sound now."""
        command = self._command(Path("/"), 0.0)
        return f"cues: {Path(command[0]).name}" if command else NoCuePlayer.name

    async def play(self, path: Path, gain: float) -> None:
        """Run the program; raises UnavailableError."""
        command = self._command(path, min(0.0, gain))
        if not command:
            await NoCuePlayer().play(path, gain)
        await run_program(command, self._seconds, build_environment(os.environ))

    def _command(self, path: Path, gain: float) -> list[str]:
        """Return the command that plays ``path``, an empty list if there is no program for it.

        A stream's volume is the sound server's to set: WirePlumber 0.4 begins each at 100 %, so that a cue of the
        night would be as loud as by day. What is to be quieter is played by mpv, which scales it itself.
        """
        mpv = shutil.which("mpv")
        paplay = shutil.which("paplay") if self._surroundings() is None else None
        if paplay and (gain >= 0 or not mpv):
            return paplay_command(paplay, path, gain)
        return mpv_command(mpv, path, gain) if mpv else []


def cubic(gain: float) -> float:
    """Return a gain in decibels as a fraction of a cubic volume: 0 dB is 1.0, -60 dB is 0.1."""
    return float(10 ** (gain / DECIBELS_PER_DECADE))


def paplay_command(program: str, path: Path, gain: float) -> list[str]:
    """Return the command for paplay, which opens what libsndfile knows (Opus since 1.0.29)."""
    volume = round(cubic(gain) * PULSE_FULL)
    return [
        program, "--client-name=story-agent", f"--volume={volume}", "--latency-msec=50", "--", str(path),
    ]  # fmt: skip


def mpv_command(program: str, path: Path, gain: float) -> list[str]:
    """Return the command for mpv: one recording, through ALSA or another device, never silently."""
    options = (
        "no-config", "no-terminal", "no-video", "no-ytdl", "no-load-scripts", "ao=pulse,alsa",
        "autoload-files=no", "audio-client-name=story-agent", f"volume={cubic(gain) * 100:.1f}",
        "demuxer=lavf", f"demuxer-lavf-o=format_whitelist=[{','.join(FORMATS)}]", "load-unsafe-playlists=no",
    )  # fmt: skip
    return [program, *(f"--{option}" for option in options), "--", str(path)]
