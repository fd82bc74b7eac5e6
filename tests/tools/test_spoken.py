"""The ear of the tour's spoken story: it tells one tone from another, and a tone from a click."""

from __future__ import annotations

import array
import math
from pathlib import Path

import pytest

from audio.vad import RATE
from tools.spoken import BLOCK, LOUD, PROGRAMS, STEADY, Tones, missing, strength

STEP = BLOCK / RATE


def tone(hertz: float, amplitude: float = 2000.0, start: int = 0) -> array.array[int]:
    turn = 2 * math.pi * hertz / RATE
    return array.array("h", (round(amplitude * math.sin(turn * (start + n))) for n in range(BLOCK)))


@pytest.mark.parametrize("hertz", [550.0, 900.0])
def test_a_tone_is_as_strong_as_it_is_and_another_is_none(hertz: float) -> None:
    assert strength(tone(hertz), hertz) == pytest.approx(2000.0, rel=0.05)
    assert strength(tone(1450.0 - hertz), hertz) < LOUD
    assert strength(array.array("h", bytes(2 * BLOCK)), hertz) == 0.0


def test_a_tone_sounds_since_its_first_block_and_until_its_last() -> None:
    tones, now = Tones(550.0, 900.0), 10.0
    for number in range(6):
        now += STEP
        tones.take(tone(900.0, start=number * BLOCK), now)
        assert (900.0 in tones.since) is (number + 1 >= STEADY)
    assert tones.since == {900.0: pytest.approx(10.0 + STEP)}
    tones.take(tone(550.0), now + STEP)
    assert tones.since == {}


def test_a_click_is_no_tone() -> None:
    tones = Tones(900.0)
    for number in range(20):
        tones.take(tone(900.0 if number % 3 else 100.0), number * STEP)
    assert tones.since == {}


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing()[: len(PROGRAMS)] == list(PROGRAMS)
