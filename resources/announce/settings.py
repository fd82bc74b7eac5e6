"""The settings' table ``sounds``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from wire.records import dataclass


class Kind(StrEnum):
    """Which cues are heard at all."""

    ALL = "all"
    TONES = "tones"
    """No speech: a prompt becomes a tone."""
    NONE = "none"


class Language(StrEnum):
    """The language of the prompts."""

    AUTO = "auto"
    """That of the machine's locale."""
    CHINESE = "zh"
    ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class SoundsSettings:
    """The machine's own sounds (docs/sounds.md)."""

    folder: Path = Path("/etc/story-agent/sounds")
    """A maker's files, which go before the package's by their names; may be missing."""
    language: Language = Language.AUTO
    """The prompts' language: ``auto`` (the locale's), ``zh`` or ``en``."""
    kinds: Kind = Kind.ALL
    """Which are heard: ``all``, ``tones`` (no speech) or ``none``."""
