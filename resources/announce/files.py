"""Which file a cue is: the maker's, if there is one by its name, else the package's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from base.locales import speaks_chinese
from resources.announce.cues import Cue, Saying
from resources.announce.settings import Language

PACKAGED = Path(__file__).with_name("sounds")
TONES = "tones"
PACKAGED_ENDING = ".opus"
# What both paplay (libsndfile) and mpv open; looked for in this order.
ENDINGS = (PACKAGED_ENDING, ".ogg", ".flac", ".wav")
# Bytes; a prompt of 10 s as WAV at 48 kHz has 960,000.
MAKERS_LIMIT = 2 * 1024 * 1024


def choose_language(wanted: Language, environment: Mapping[str, str]) -> Language:
    """Return Chinese or English: ``wanted``, or the locale's as POSIX ranks its variables.

    A machine without a locale (``C``, ``POSIX``) speaks Chinese, as its data points do.
    """
    if wanted is not Language.AUTO:
        return wanted
    return Language.CHINESE if speaks_chinese(environment) else Language.ENGLISH


class SoundFiles:
    """The cues' files, in one language."""

    def __init__(self, makers: Path, language: Language) -> None:
        """Prefer the files of the folder ``makers``, which need not exist."""
        self._makers = makers
        self.language = language

    def find(self, saying: Saying) -> Path:
        """Return the file; it is looked for each time, so that a maker hears a new one at once."""
        group = self._group(saying)
        for folder in (self._makers / group, self._makers):
            for ending in ENDINGS:
                path = folder / f"{saying.name}{ending}"
                if _is_usable(path):
                    return path
        return self.packaged(saying)

    def packaged(self, saying: Saying) -> Path:
        """Return the package's file."""
        return packaged(saying.name, self._group(saying))

    def _group(self, saying: Saying) -> str:
        return str(self.language) if saying.spoken else TONES


def packaged(name: Cue, group: str) -> Path:
    """Return the package's file of a cue in a language, or in ``tones``."""
    return PACKAGED / group / f"{name}{PACKAGED_ENDING}"


def _is_usable(path: Path) -> bool:
    """Return whether a maker's file can be a sound; an empty or endless one is passed over."""
    try:
        return path.is_file() and 0 < path.stat().st_size <= MAKERS_LIMIT
    except OSError:
        return False
