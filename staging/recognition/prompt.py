"""The prompt that tells the recogniser what to expect, and knowing it when it comes back.

It is in simplified script, for the answer is written as the prompt is, and it begins with titles of
the device's own catalogue, which more than any setting makes titles come out right. It names no
number: Whisper would hear that number in every other one (docs/recognition.md). On sound without
speech Whisper repeats its prompt; that must not start or stop anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from staging.recognition.text import normalise

COMMANDS = "上一首，下一首，暂停，继续，停止，调高音量，调低音量，音量调到。"
# Whisper keeps 224 tokens of a prompt, the last ones; a character is one to two of them.
TITLES_CHARACTERS = 60


def build_prompt(titles: Sequence[str]) -> str:
    """Return the prompt for a device with these titles; as many of the first as there is room."""
    parts, room = [], TITLES_CHARACTERS
    for title in titles:
        part = f"播放{title}，"
        room -= len(part)
        if room < 0:
            break
        parts.append(part)
    return "".join(parts) + COMMANDS


def is_echo(text: str, prompt: str) -> bool:
    """Tell whether a text is the prompt, or a run of it longer than any one of its phrases."""
    plain, whole = normalise(text), normalise(prompt)
    longest = max(len(normalise(phrase)) for phrase in re.split("[，。]", prompt))
    return len(plain) > longest and (plain in whole or whole in plain)
