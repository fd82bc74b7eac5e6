"""``story-agent sounds``: which sounds the machine has of its own, which files they are, and how one sounds."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from agent.exits import EX_CONFIG, EX_FAILED, EX_OK
from agent.settings import SettingsError, load_settings
from agent.words import Words, say
from agent.words.causes import explain
from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from resources.announce.cues import MANNERS, Cue, Saying
from resources.announce.files import PACKAGED, SoundFiles, choose_language
from resources.announce.settings import SoundsSettings

_PACKAGED = Words("自带的", "packaged")
_PROMPT, _TONE = Words("语音", "prompt"), Words("音调", "tone")


def run_sounds(options: argparse.Namespace) -> int:
    """Print the table, or play the cue ``options.play``; return the exit code."""
    try:
        settings = load_settings(options.config).sounds
    except SettingsError as error:
        return _fail(str(error), EX_CONFIG)
    language = choose_language(settings.language, os.environ)
    files = SoundFiles(settings.folder, language)
    if options.play is None:
        print("\n".join(table(files, settings)))
        return EX_OK
    if options.play not in set(Cue):
        return _fail(f"sounds: got {options.play!r}, expected one of {', '.join(Cue)}", EX_FAILED)
    try:
        asyncio.run(ProgramCuePlayer().play(files.find(saying_of(Cue(options.play))), 0.0))
    except UnavailableError as error:
        return _fail(f"sounds: {error}", EX_FAILED)
    return EX_OK


def table(files: SoundFiles, settings: SoundsSettings) -> list[str]:
    """Return a head, then a line for each cue: its name, prompt or tone, and its file unless it is the package's."""
    language, kinds, folder = files.language, settings.kinds, settings.folder
    lines = [say(Words(
        f"语言 {language}，种类 {kinds}，制造商的文件在 {folder}",
        f"language {language}, kinds {kinds}, a maker's files in {folder}",
    ))]  # fmt: skip
    for cue in Cue:
        saying = saying_of(cue)
        path = files.find(saying)
        where = say(_PACKAGED) if path.is_relative_to(PACKAGED) else str(path)
        lines.append(f"{cue:16} {say(_PROMPT if saying.spoken else _TONE):8} {where}")
    return lines


def saying_of(cue: Cue) -> Saying:
    """Return a cue as it sounds by day."""
    return Saying(cue, spoken=MANNERS[cue].spoken, gain=0.0)


def _fail(text: str, code: int) -> int:
    print(f"story-agent: {say(explain(text))}", file=sys.stderr)
    return code
