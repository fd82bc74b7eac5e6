"""The parts' texts in Chinese: each is one that the code has, and has Chinese."""

from __future__ import annotations

import re
from pathlib import Path

from agent.words.causes import explain
from agent.words.parts import EXACT, PATTERNS

ROOT = Path(__file__).parents[3]
# A literal that goes on in the next line.
JOINT = re.compile(r"[\"']\s*\n\s*f?[\"']")
HAN = re.compile(r"[\u4e00-\u9fff]")


def test_no_text_is_of_a_code_that_is_gone() -> None:
    files = [
        path
        for room in ("machine", "resources", "agent/voice")
        for path in (ROOT / room).rglob("*.py")
    ]
    sources = JOINT.sub("", "\n".join(path.read_text() for path in files))
    assert [text for text in EXACT if text not in sources.replace('\\"', '"')] == []


def test_every_text_has_chinese() -> None:
    for text in EXACT:
        assert HAN.search(explain(f"play: {text}").zh), text
    for pattern, zh, _ in PATTERNS:
        assert re.compile(pattern)
        assert HAN.search(zh) or "{0!}" in zh or "{1!}" in zh, pattern
