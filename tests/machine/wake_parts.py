"""Wake words that tests store, made of points that nobody said."""

from __future__ import annotations

import array
import random

from audio.embedding import SIZE, Point, unit
from audio.wake_card import Card
from audio.wake_match import Template, Word
from machine.wake_words import StoredWord

GOOD = Card(recalled=4, spoken=4, hours=12.0, false_alarms=0, near={"xiao3 xiong2": (0, 6)})


def points(seed: int, count: int = 12) -> tuple[Point, ...]:
    rng = random.Random(seed)
    return tuple(
        unit(array.array("f", [rng.gauss(0, 1) for _ in range(SIZE)])) for _ in range(count)
    )


def stored(name: str, card: Card | None = GOOD, seed: int = 1) -> StoredWord:
    return StoredWord(
        Word(name, (Template(points(seed), 0.06), Template(points(seed + 1), 0.07))), card
    )
