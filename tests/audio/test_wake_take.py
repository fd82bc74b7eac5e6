"""What a recording of a wake word must be; made-up sound."""

from __future__ import annotations

import array
import itertools
import math
import random
from collections.abc import Callable

import pytest

from audio.embedding import STEP_SECONDS, Point
from audio.vad import RATE
from audio.wake_match import nearest
from audio.wake_take import (
    Flaw,
    Span,
    Take,
    TakeError,
    check_like,
    find_word,
    recalled,
    stricter,
    take_of,
    templates,
)
from tests.audio.test_wake_match import close_to, points

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STRICTEST = 0.03
HIGHEST = 0.08
LOWEST = 0.055
LEAD_SECONDS = 0.3
TAIL_SECONDS = 0.05

ROOM = 10.0
_rng = random.Random(1)
# A quarter of a second of it is like the next one.
NOISE = [_rng.gauss(0, 1) for _ in range(RATE // 4)]


def recording(
    seconds: float, level: float, *, room: float = ROOM, before: float = 1.0, after: float = 1.0
) -> bytes:
    """Return a tone of this amplitude in a room."""
    made = array.array("h")
    count = round((before + seconds + after) * RATE)
    for n, noise in zip(range(count), itertools.cycle(NOISE), strict=False):
        at = n / RATE - before
        tone = level * math.sin(2 * math.pi * 300 * at) if 0 <= at < seconds else 0.0
        made.append(max(-32768, min(32767, round(tone + room * noise))))
    return made.tobytes()


def test_the_word_is_found_where_it_is() -> None:
    span = find_word(recording(1.2, 5000))
    assert span.begin == pytest.approx(1.0, abs=0.03)
    assert span.end == pytest.approx(2.2, abs=0.03)


FLAWS: dict[str, tuple[Callable[[], bytes], Flaw]] = {
    "no sound at all": (bytes, Flaw.NOTHING),
    "silence": (lambda: bytes(64000), Flaw.QUIET),
    "a whisper": (lambda: recording(1.2, 100, room=1.0), Flaw.QUIET),
    "a noisy room": (lambda: recording(1.2, 3000, room=2500), Flaw.NOISY),
    "too near to the microphone": (lambda: recording(1.2, 60000), Flaw.CLIPPED),
    "one syllable": (lambda: recording(0.3, 5000), Flaw.SHORT),
    "a whole sentence": (lambda: recording(3.2, 5000), Flaw.LONG),
}


@pytest.mark.parametrize(("sound", "flaw"), FLAWS.values(), ids=FLAWS)
def test_what_is_wrong_with_a_take_has_a_name(sound: Callable[[], bytes], flaw: Flaw) -> None:
    with pytest.raises(TakeError) as refused:
        find_word(sound())
    assert refused.value.flaw is flaw


def row(count: int) -> list[Point]:
    return points(5, count)


def test_the_points_of_the_word_are_those_that_tell_of_it() -> None:
    span = Span(1.0, 2.0)
    made = take_of(row(40), span)
    first = next(n for n in range(40) if (n + 1) * STEP_SECONDS >= span.begin + LEAD_SECONDS)
    last = max(n for n in range(40) if (n + 1) * STEP_SECONDS <= span.end + TAIL_SECONDS)
    assert made.word == tuple(row(40)[first : last + 1])
    assert len(made.points) == 40
    with pytest.raises(TakeError):
        take_of(row(3), span)


def takes(*distances: float) -> list[Take]:
    made = []
    for number, away in enumerate(distances):
        said = tuple(close_to(points(1, 14), away, seed=number))
        made.append(Take((*points(90 + number, 5), *said, *points(80 + number, 5)), said))
    return made


def test_each_threshold_follows_the_nearest_sister_within_bounds() -> None:
    made = templates(takes(0.001, 0.001, 0.03, 0.5))
    assert made[0].threshold == LOWEST
    assert LOWEST <= made[2].threshold <= HIGHEST
    assert made[3].threshold == HIGHEST


def recall(made: list[Take]) -> int:
    return recalled(made, templates(made))


def test_a_sound_that_is_like_the_word_makes_it_stricter_within_bounds() -> None:
    made = takes(0.02, 0.02)
    near = close_to(made[0].word, 0.05, seed=77)
    away = nearest(made[0].word, near)
    strict = stricter(templates(made), [near])
    assert strict[0].threshold == pytest.approx(min(LOWEST, 0.95 * away))
    assert stricter(templates(made), []) == templates(made)
    assert stricter(templates(made), [made[0].points])[0].threshold == STRICTEST


def test_what_the_others_would_have_heard_is_counted() -> None:
    assert recall(takes(0.005, 0.005, 0.005)) == 3
    assert recall(takes(0.005, 0.005, 0.5)) == 2


def test_a_first_take_has_nothing_to_be_like_and_another_word_is_refused() -> None:
    first, second, other = takes(0.005, 0.01, 0.5)
    assert check_like(first, []) == 0.0
    assert check_like(second, [first]) == pytest.approx(
        nearest(first.word, second.points), abs=0.02
    )
    with pytest.raises(TakeError) as refused:
        check_like(other, [first, second])
    assert refused.value.flaw is Flaw.UNLIKE
