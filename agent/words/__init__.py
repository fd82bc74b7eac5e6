"""What the commands say, in Chinese and English: each text stands beside the command, as `Words`, and is said by `say`.

The language is ``--lang``'s, else STORY_AGENT_LANG's, else the locale's; a machine without a locale speaks Chinese.
The daemon's log and ``--json`` are English always: makers and programs read them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from base.locales import speaks_chinese

ZH, EN = "zh", "en"
VARIABLE = "STORY_AGENT_LANG"
_OPTION = "--lang"


class Words(NamedTuple):
    """A text in both languages."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        """Return it in one language, ``zh`` or ``en``."""
        return self.zh if language == ZH else self.en


class _Chosen:
    """The language of the command that this process runs; empty: as the environment says."""

    language = ""


def choose(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the language of a command line, which must be known before the line can be read."""
    for at, word in enumerate(words):
        name, _, value = word.partition("=")
        told = value or "".join(words[at + 1 : at + 2])
        if name == _OPTION and told in {ZH, EN}:
            return told
    if environment.get(VARIABLE) in {ZH, EN}:
        return environment[VARIABLE]
    return ZH if speaks_chinese(environment) else EN


@contextlib.contextmanager
def speaking(words: Sequence[str]) -> Iterator[None]:
    """Let `say` use what this command line and the environment want."""
    before, _Chosen.language = _Chosen.language, choose(words, os.environ)
    try:
        yield
    finally:
        _Chosen.language = before


def spoken() -> str:
    """Return the language of this process, ``zh`` or ``en``."""
    return _Chosen.language or choose((), os.environ)


def say(words: Words) -> str:
    """Return a text in the language of this process."""
    return words.of(spoken())
