"""Words found in a row of points: made-up points here, real ones in test_wake_ear."""

from __future__ import annotations

import array
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.embedding import SIZE, STEP_SECONDS, Point, unit
from audio.wake_match import NEVER, Matcher, Template, Track, Word, distance, nearest

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
COOLDOWN_SECONDS = 2.0

COOLDOWN = round(COOLDOWN_SECONDS / STEP_SECONDS)
LIMIT = 0.06


def points(seed: int, count: int) -> list[Point]:
    """Return points in which each resembles the one before, as those of speech do."""
    rng = random.Random(seed)
    made, now = [], [rng.gauss(0, 1) for _ in range(SIZE)]
    for _ in range(count):
        now = [0.6 * value + 0.8 * rng.gauss(0, 1) for value in now]
        made.append(unit(array.array("f", now)))
    return made


def close_to(row: Sequence[Point], away: float, seed: int = 7) -> list[Point]:
    """Return the same row, each point about ``away`` from where it was."""
    rng = random.Random(seed)
    size = math.sqrt(2 * away / SIZE)
    return [unit(array.array("f", [v + rng.gauss(0, size) for v in point])) for point in row]


WORD = points(1, 20)
OTHER = points(2, 200)


def matcher(*rows: Sequence[Point], cooldown: float = COOLDOWN_SECONDS) -> Matcher:
    return Matcher([Word("w", tuple(Template(tuple(r), LIMIT) for r in rows))], cooldown)


def hits(ear: Matcher, heard: Sequence[Point]) -> list[int]:
    return [n for n, p in enumerate(heard) if (f := ear.step(p)) is not None and f.hit]


def test_the_word_is_heard_once_where_it_ends() -> None:
    heard = [*OTHER[:50], *close_to(WORD, 0.02), *OTHER[50:100]]
    (at,) = hits(matcher(WORD), heard)
    assert 50 + len(WORD) - 4 <= at <= 50 + len(WORD)


@pytest.mark.parametrize("stretch", [0.6, 0.8, 1.0, 1.4, 2.0], ids=str)
def test_a_word_said_faster_or_slower_is_the_same(stretch: float) -> None:
    count = round(len(WORD) * stretch)
    said = [WORD[round(n * (len(WORD) - 1) / (count - 1))] for n in range(count)]
    assert len(hits(matcher(WORD), [*OTHER[:20], *said, *OTHER[20:40]])) == 1


def test_a_word_that_lasts_six_times_as_long_is_another_one() -> None:
    said = [point for point in WORD for _ in range(6)]
    assert nearest(WORD, said) > LIMIT or nearest(WORD, said) == NEVER


def test_half_of_the_word_is_not_the_word() -> None:
    assert hits(matcher(WORD), [*OTHER[:20], *WORD[:10], *OTHER[20:60]]) == []
    assert hits(matcher(WORD), [*OTHER[:20], *WORD[10:], *OTHER[20:60]]) == []


def test_the_word_backwards_is_not_the_word() -> None:
    assert hits(matcher(WORD), [*OTHER[:20], *reversed(WORD), *OTHER[20:60]]) == []


def test_any_of_the_recordings_is_enough() -> None:
    second = points(3, 18)
    ear = matcher(WORD, second)
    assert len(hits(ear, [*OTHER[:30], *close_to(second, 0.02), *OTHER[30:60]])) == 1


def test_each_recording_has_its_own_threshold() -> None:
    said = close_to(WORD, 0.04)
    strict = Matcher([Word("w", (Template(tuple(WORD), 0.01),))])
    assert hits(strict, said) == []
    assert hits(Matcher([Word("w", (Template(tuple(WORD), 0.08),))]), said)


def test_the_same_word_is_not_heard_again_while_it_cools_down() -> None:
    twice = [*WORD, *WORD, *OTHER[: COOLDOWN + 1], *WORD]
    assert len(hits(matcher(WORD), twice)) == 2
    assert len(hits(matcher(WORD, cooldown=0.0), [*WORD, *WORD])) == 2


def test_what_is_near_and_no_hit_is_counted_once_when_it_is_over() -> None:
    ear = matcher(WORD)
    said = close_to(WORD, LIMIT * 1.0)
    assert LIMIT < nearest(WORD, said) < LIMIT * 1.4
    told = [f for p in [*said, *OTHER[:40]] if (f := ear.step(p)) is not None]
    assert [f.hit for f in told] == [False]
    assert ear.near == {"w": 1}
    assert ear.hits == {}


def test_what_is_nearer_wins() -> None:
    other = close_to(WORD, 0.03, seed=9)
    ear = Matcher(
        [Word("a", (Template(tuple(other), 0.2),)), Word("b", (Template(tuple(WORD), 0.2),))]
    )
    found = [f for p in WORD if (f := ear.step(p)) is not None and f.hit]
    assert found[0].share == min(f.share for f in found)


def test_a_silence_breaks_a_word() -> None:
    ear = matcher(WORD)
    assert hits(ear, WORD[:12]) == []
    ear.rest(STEP_SECONDS)
    assert hits(ear, WORD[12:]) == []


def test_a_silence_counts_for_the_cooldown() -> None:
    ear = matcher(WORD)
    assert len(hits(ear, WORD)) == 1
    for _ in range(COOLDOWN):
        ear.rest(STEP_SECONDS)
    assert len(hits(ear, WORD)) == 1


def test_a_template_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="points: got none"):
        Track(())


def test_one_other_syllable_is_another_word_though_the_mean_is_near() -> None:
    said = [*WORD[:8], *close_to(WORD[8:12], 0.25), *WORD[12:]]
    assert sum(distance(a, b) for a, b in zip(WORD, said, strict=True)) / len(WORD) < LIMIT
    assert hits(matcher(WORD), said) == []


@given(st.integers(0, 2**20), st.integers(1, 30))
def test_a_row_is_no_distance_from_itself(seed: int, count: int) -> None:
    row = points(seed, count)
    assert nearest(row, row) < 1e-6
    assert all(-1e-6 <= distance(a, b) <= 2 + 1e-6 for a in row for b in row[:1])


@given(st.lists(st.integers(0, 25), max_size=80))
def test_a_reset_forgets_whatever_was_heard(order: list[int]) -> None:
    vocabulary = [*WORD, *OTHER[:6]]
    used, fresh = Track(WORD), Track(WORD)
    for at in order:
        used.step(vocabulary[at])
    used.reset()
    assert [used.step(p) for p in WORD] == [fresh.step(p) for p in WORD]
