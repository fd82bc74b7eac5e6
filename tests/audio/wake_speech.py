"""Wake words as espeak-ng says them, and the points that they are."""

from __future__ import annotations

import array
import random
from functools import cache

import pytest

from audio.embedding import Embedder, Missing, find_models
from audio.vad import BLOCK_BYTES, RATE
from audio.wake_take import Take, find_word, take_of
from tests.extras import require
from tools.speech import has_espeak, sound_of

# Pitch and rate of one voice's takes, as a person never says a word twice the same way.
MANNERS = (("-p", "45"), ("-p", "55"), ("-p", "62", "-s", "130"), ("-p", "50", "-s", "112"))
ROOM = 8


def need_speech() -> None:
    """Skip the running test where there is no model or nobody who speaks."""
    require("pyopen_wakeword")
    if not has_espeak():
        pytest.skip("espeak-ng is not installed")


def models() -> Embedder:
    folder = find_models()
    assert not isinstance(folder, Missing)
    return Embedder(folder)


@cache
def said(text: str, *options: str, gain: float = 0.5, seed: int = 1) -> bytes:
    """Return a word in a quiet room, with half a second and more on both sides."""
    spoken = array.array("h", sound_of(text, RATE, *options).samples)
    rng = random.Random(seed)
    before = rng.randrange(8000, 12000)
    total = before + len(spoken) + 14000
    total -= total % (BLOCK_BYTES // 2)
    room = array.array("h", (round(rng.gauss(0, ROOM)) for _ in range(total)))
    for at, sample in enumerate(spoken):
        if before + at < total:
            room[before + at] = max(-32768, min(32767, room[before + at] + round(sample * gain)))
    return room.tobytes()


def take(embedder: Embedder, sound: bytes) -> Take:
    """Return what a recording is worth."""
    embedder.reset()
    return take_of(embedder.add(sound), find_word(sound))


def blocks(sound: bytes) -> list[bytes]:
    return [sound[at : at + BLOCK_BYTES] for at in range(0, len(sound), BLOCK_BYTES)]
