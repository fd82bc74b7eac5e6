"""The names of what can record, for the settings; `machine.capture_back_ends` knows what they mean."""

from __future__ import annotations

from enum import StrEnum


class BackEndKind(StrEnum):
    """The setting ``voice.capture``."""

    AUTO = "auto"
    """The first of the others that is installed."""
    SOUNDDEVICE = "sounddevice"
    """PortAudio, from the extra ``story-agent[mic]``."""
    PAREC = "parec"
    """PulseAudio's or PipeWire's recorder (Debian's pulseaudio-utils)."""
    ARECORD = "arecord"
    """ALSA's recorder (Debian's alsa-utils)."""
