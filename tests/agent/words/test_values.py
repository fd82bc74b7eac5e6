"""What data points, settings and recordings expect has Chinese: for everything that a wrong value can be told."""

from __future__ import annotations

import re
import struct

import pytest

from agent.settings import parse_settings
from agent.words.causes import explain
from agent.words.values import EXACT, PATTERNS
from audio.errors import AudioError
from audio.wav import read_wav
from wire.errors import WireError
from wire.fields import parse_object

HAN = re.compile("[一-鿿]")
# Words that stay as they are typed: names of members, values and formats.
ENGLISH = re.compile(r"\b(expected|got|such as|the|a|an|or|and|is|not|with|of|than)\b")

SETTINGS = [
    '[clock]\nzone = "../x"', '[ota]\nwindow = "2:00-25:00"', '[ota]\nsupport_end = "2033-02-30"',
    '[play]\nallow_networks = "10.0.0.0/8"', '[play]\nallow_networks = ["10.0.0.0/33"]',
    '[battery]\ncurve = "nan:0 4.2:100"', "[battery]\nwarn_percent = 3\nwarn_again_percent = 2\noff_percent = 5",
    "[battery]\naddress = 1", '[light]\nled = "../x"', "[buttons]\ntalk = 5\nmute = 5", '[buttons]\nreset = "x+y"',
    '[buttons]\nvolume_down = 1\nreset = "volume_down"', "[local]\ncoap_port = 5683\noscore_port = 5683",
    '[link]\nclient_key = "/k"', "[voice]\nquality = 11", '[voice]\nstyle = "x"', '[local]\nhttps_address = "x"',
    "a = " + "[" * 5000, "[link]\nmqtt_port = " + "9" * 5000, "[link\n",
]  # fmt: skip


def _wav(form: bytes, data: bytes = b"\0\0", *, promised: int = 2) -> bytes:
    return (
        b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form
        + b"data" + struct.pack("<I", promised) + data
    )  # fmt: skip


def _form(tag: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, 0, 0, bits)


RECORDINGS = [
    b"", b"x" * 20, b"RIFF" + b"x" * 20, b"OggS" + b"x" * 20, b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
    b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", _wav(b"short"), _wav(_form())[:36], _wav(_form(0xFFFE)),
    _wav(_form(0xFFFE) + b"x" * 24), _wav(_form(2)), _wav(_form(bits=40)), _wav(_form(channels=9)), _wav(_form(rate=1)),
    _wav(_form(), b""), _wav(_form(), promised=99), _wav(_form(), b"\0", promised=1),
]  # fmt: skip

# As the running agent answers; resources/ has them where they are made.
ANSWERS = [
    'night: got "x", expected "HH:MM-HH:MM max=0..16", as "21:00-06:30 max=5", or "off"',
    'volume_limits: got "x", expected some of max=1..16, min=0..16 and start=0..16 or start=last, with min <= start <= max, as "max=12"',
    'sleep_timer: got "x", expected "off", minutes from 1 to 600, "end", "after N" with N from 1 to 99, or "at HH:MM"',
    'child_lock: got "x", expected "true" or "false"', 'microphone: got "x", expected "true" or "false"',
    "play: the child lock is on, expected an order from the family's app",
    'play: got {"x": 1}, expected an object with one of play, next', 'player: got "x", expected an object like {"position": 90}',
    "play.next: got 1, expected a name, or a list of 1 to 200 names",
    "play[0]: got 1, expected the name of a title or folder, or a URL",
    "play: the address is not allowed or does not answer", '"page": no such data point',
]  # fmt: skip


def _is_chinese(text: str) -> bool:
    told = explain(text).zh
    # What somebody typed or a library says is not ours to translate.
    ours = re.sub(r"\"[^\"]*\"|\{.*\}|第 \d+ 行.*|min <= start <= max", "", told)
    return bool(HAN.search(told)) and not ENGLISH.search(ours)


@pytest.mark.parametrize("text", SETTINGS)
def test_settings(text: str) -> None:
    with pytest.raises(WireError) as fault:
        parse_settings(text)
    assert _is_chinese(str(fault.value)), explain(str(fault.value)).zh


@pytest.mark.parametrize("data", RECORDINGS)
def test_recordings(data: bytes) -> None:
    with pytest.raises(AudioError) as fault:
        read_wav(data)
    assert _is_chinese(str(fault.value)), explain(str(fault.value)).zh


@pytest.mark.parametrize("text", ANSWERS)
def test_data_points(text: str) -> None:
    assert _is_chinese(text), explain(text).zh


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": NaN}', "NaN is no number"), ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e400}', "a number too large"), ('{"a": ' + "9" * 5000 + "}", "a number of too many digits"),
        ("[" * 100_000, "nested too deep"),
    ],
)  # fmt: skip
def test_json_that_cannot_be_used_says_why_and_names_no_class(text: str, reason: str) -> None:
    with pytest.raises(WireError) as fault:
        parse_object(text, "play")
    assert str(fault.value) == f"play: not usable JSON ({reason})"
    assert _is_chinese(str(fault.value))


def test_every_text_has_chinese() -> None:
    assert all(HAN.search(zh) for zh, _ in EXACT.values())
    assert all(HAN.search(zh) for _, zh, _ in PATTERNS)
