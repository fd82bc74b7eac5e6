"""The parts' texts in Chinese: each is one that the code has, and has Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("mic.monitor gave nothing for 1 s", "mic.monitor 在 1 秒里没有声音"),
        ("hw:1,0 gave exact zeros for 5 s: it is muted or unplugged", "hw:1,0 在 5 秒里只有零：它被静音，或没有插好"),
        ("USB: mic: no such device, or it records at no rate that can be converted (No such entity)",
         "USB: mic：没有这个设备，或它的采样率都不能用（No such entity）"),
        ("default: the sound server or the device went away", "default：声音服务器或设备不见了"),
    ],
)  # fmt: skip
def test_a_fault_of_the_microphone_is_told_in_one_language(told: str, read: str) -> None:
    for program in ("parec", "arecord", "sounddevice"):
        words = explain(f"listen: fault: microphone: {program}: {told}")
        assert words.zh == f"聆听：麦克风出了故障：麦克风：{program}：{read}"
