"""Builds the recogniser's prompt, and detects a text that only echoes it.

The prompt is in simplified script, because Whisper writes its answer in the script of the prompt.
It begins with titles of the device's list, which improves their recognition more than any
setting. It contains no number, because Whisper would hear that number in place of others
(docs/recognition.md). On sound without speech Whisper repeats its prompt; such an echo must not
start or stop anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wire.sentence import normalise

COMMANDS = "上一首，下一首，暂停，继续，停止，调高音量，调低音量，音量调到。"
# Whisper uses only the last 224 tokens of a prompt; a character takes one or two tokens.
TITLES_CHARACTERS = 60


def build_prompt(titles: Sequence[str]) -> str:
    """Return the prompt for a device with these titles; it includes the first ones that fit."""
    parts, room = [], TITLES_CHARACTERS
    for title in titles:
        part = f"播放{title}，"
        room -= len(part)
        if room < 0:
            break
        parts.append(part)
    return "".join(parts) + COMMANDS


def is_echo(text: str, prompt: str) -> bool:
    """Return whether ``text`` is the prompt, or a part of it longer than any of its phrases."""
    plain, whole = normalise(text), normalise(prompt)
    longest = max(len(normalise(phrase)) for phrase in re.split("[，。]", prompt))
    return len(plain) > longest and (plain in whole or whole in plain)
