"""Which titles may sound like what was heard."""

from __future__ import annotations

import random
import string

from staging.recognition.phonetics import Sound
from staging.recognition.sound_index import SoundIndex

INITIALS = ("b", "d", "g", "j", "m", "n", "sh", "x", "p")
FINALS = ("a", "ang", "eng", "uo", "ai", "i", "u", "ao", "ie", "ong", "ian", "iu")


def runs(count: int, seed: int) -> list[list[Sound]]:
    rng = random.Random(seed)
    return [
        [Sound(rng.choice(INITIALS), rng.choice(FINALS), "1") for _ in range(rng.randint(4, 8))]
        for _ in range(count)
    ]


def test_a_run_is_among_its_likes_whole_in_part_and_in_other_words() -> None:
    made = runs(3000, seed=1)
    index = SoundIndex(made)
    others = [Sound("", letter, "") for letter in string.ascii_lowercase]
    for place in range(0, len(made), 97):
        run = made[place]
        assert place in index.like(run, 40)
        assert place in index.like([*others[:3], *run, *others[3:6]], 40)
        confused = [Sound({"b": "p", "n": "l", "d": "t"}.get(s.initial, s.initial), s.final, "4") for s in run]  # fmt: skip
        assert place in index.like(confused, 40)


def test_of_few_runs_all_are_compared() -> None:
    assert SoundIndex(runs(5, seed=2)).like([], 10) == [0, 1, 2, 3, 4]


def test_nothing_alike_finds_nothing() -> None:
    assert SoundIndex(runs(50, seed=3)).like([Sound("", "x", "")], 10) == []
