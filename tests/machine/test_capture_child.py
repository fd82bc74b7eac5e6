"""What the capturing child decides: which device, in which shape, cut into which blocks."""

from __future__ import annotations

import array
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.capture_child import (
    BLOCK_BYTES,
    EXIT_NO_DEVICE,
    EXIT_NO_PORTAUDIO,
    Blocks,
    Choice,
    choose,
    mix,
    shapes,
)
from tests.extras import require

ROOT = Path(__file__).parents[2]


def device(name: str, inputs: int = 1, rate: float = 48000.0) -> dict[str, Any]:
    return {"name": name, "max_input_channels": inputs, "default_samplerate": rate}


CARD = [
    device("HDMI: 0", 0),
    device("seeed-2mic: - (hw:1,0)", 2),
    device("USB mic: Audio (hw:2,0)"),
]
SERVED = [*CARD, device("pulse", 32), device("default", 32)]


@pytest.mark.parametrize(
    ("devices", "wanted", "expected"),
    [
        (SERVED, "", Choice(3)),
        (CARD, "", Choice(None)),
        ([], "", None),
        ([device("HDMI", 0)], "", None),
        (SERVED, "1", Choice(1)),
        (SERVED, "0", None),
        (SERVED, "9", None),
        (CARD, "usb MIC", Choice(2)),
        (SERVED, "default", Choice(4)),
        (SERVED, "alsa_input.usb-0d8c.mono", Choice(3, "alsa_input.usb-0d8c.mono")),
        (CARD, "alsa_input.usb-0d8c.mono", None),
        (SERVED, "HDMI", Choice(3, "HDMI")),  # an output is no microphone; the server may have one
        ([device("pulse two"), device("pulse")], "pulse", Choice(1)),
    ],
)
def test_a_device_is_chosen_by_index_name_or_source(
    devices: list[dict[str, Any]], wanted: str, expected: Choice | None
) -> None:
    assert choose(devices, wanted) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (device("mono", 1, 16000.0), [(16000, 1)]),
        (device("mono", 1, 44100.0), [(16000, 1), (44100, 1)]),
        (device("stereo", 2, 48000.0), [(16000, 1), (16000, 2), (48000, 1), (48000, 2)]),
    ],
)
def test_our_shape_is_tried_first_and_then_the_devices_own(
    found: dict[str, Any], expected: list[tuple[int, int]]
) -> None:
    assert shapes(found) == expected


def test_channels_are_mixed_whichever_has_the_microphone() -> None:
    right = array.array("h", [0, 1000, 0, -1000, 32767, 32767]).tobytes()
    assert array.array("h", mix(right, 2)).tolist() == [500, -500, 32767]
    assert mix(right, 1) == right


@given(st.lists(st.integers(0, 700), max_size=30))
def test_blocks_have_640_bytes_whatever_the_device_gives(counts: list[int]) -> None:
    written: list[bytes] = []
    blocks = Blocks(written.append, 16000, 1)
    given_bytes = b""
    for number, count in enumerate(counts):
        piece = bytes([number]) * 2 * count
        given_bytes += piece
        blocks.add(piece)
    assert all(len(block) == BLOCK_BYTES for block in written)
    assert b"".join(written) == given_bytes[: len(given_bytes) // BLOCK_BYTES * BLOCK_BYTES]


@pytest.mark.parametrize(("rate", "channels"), [(48000, 2), (44100, 1), (8000, 1)])
def test_another_rate_is_converted(rate: int, channels: int) -> None:
    written: list[bytes] = []
    blocks = Blocks(written.append, rate, channels)
    for _ in range(50):  # 1 s
        blocks.add(array.array("h", [5000] * (rate // 50) * channels).tobytes())
    assert 48 <= len(written) <= 50
    assert 4900 < array.array("h", written[10])[5] < 5100


def run(*words: str, **changes: str) -> int:
    """Run the child as the agent does, with its standard input at its end."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "machine.capture_child", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), **changes}, timeout=60, check=False,
    ).returncode  # fmt: skip


def test_without_portaudio_the_exit_code_says_so(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    assert run(PYTHONPATH=f"{tmp_path}:{ROOT}") == EXIT_NO_PORTAUDIO


def test_without_a_device_the_exit_code_says_so(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("def query_devices(): return []\n")
    assert run("mic", PYTHONPATH=f"{tmp_path}:{ROOT}") == EXIT_NO_DEVICE


def test_it_ends_when_its_reader_is_gone(pulse_server: str) -> None:
    require("sounddevice")
    assert run("bench.monitor", PULSE_SERVER=pulse_server) == 0
