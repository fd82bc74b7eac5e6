"""The names of the ready wake words, for the settings; `audio.wake_ready` loads them."""

from __future__ import annotations

from enum import StrEnum


class ReadyWord(StrEnum):
    """The setting ``wake.ready``."""

    NONE = ""
    OKAY_NABU = "okay_nabu"
    HEY_JARVIS = "hey_jarvis"
    HEY_MYCROFT = "hey_mycroft"
    ALEXA = "alexa"
