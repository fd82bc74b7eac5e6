"""A recording of a wake word: is it good enough, and what of it is the word.

Pure: `agent.voice.wake_enrol` records and asks again. What a check says names its cause and what helps.
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from audio.embedding import STEP_SECONDS, Point
from audio.vad import BLOCK_BYTES, loudness
from audio.wake_match import NEVER, Template, nearest

BLOCK_SECONDS = 0.020
# dBFS. Speech at arm's length is -30 to -15; what is softer is not heard from across a room either.
QUIETEST_WORD = -45.0
# Decibels between the word and the room. Below it the points are the noise's.
LEAST_ABOVE_ROOM = 12.0
# Of the loudest block: what belongs to the word, and not to its echo in the room.
WORD_RANGE = 30.0
CLIPPED_SAMPLE, CLIPPED_SHARE = 32700, 0.002
SHORTEST_SECONDS, LONGEST_SECONDS = 0.6, 2.8
# A point tells of 0.775 s: the first that belongs to the word end a little after its begin.
LEAD_SECONDS, TAIL_SECONDS = 0.3, 0.05
# Takes of one word by one voice differ by 0.02 to 0.05, by several voices mostly up to 0.1; other words by 0.1 and more.
UNLIKE = 0.12
LOWEST, HIGHEST = 0.055, 0.08
# Of the distance to the nearest other take.
MARGIN = 1.5
# Of the distance to the nearest sound that is like the word; and what even a good take is away from its sister.
CLEAR = 0.95
STRICTEST = 0.03
TAKES_MAX = 6


class Flaw(StrEnum):
    """Why a take cannot be used."""

    NOTHING = "nothing"
    QUIET = "quiet"
    NOISY = "noisy"
    CLIPPED = "clipped"
    SHORT = "short"
    LONG = "long"
    UNLIKE = "unlike"


class TakeError(Exception):
    """A take cannot be used; ``flaw`` is the kind, ``value`` what was measured, in the unit of its limit."""

    def __init__(self, flaw: Flaw, value: float) -> None:
        super().__init__(f"take: {flaw} ({value:.3g})")
        self.flaw = flaw
        self.value = value


@dataclass(frozen=True, slots=True)
class Span:
    """Where the word is, in seconds."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Take:
    """One recording: all its points, and those of the word."""

    points: tuple[Point, ...]
    word: tuple[Point, ...]


def find_word(sound: bytes) -> Span:
    """Return where the word is in a recording (16,000 samples/s, 16 bit); raises TakeError."""
    levels = [
        loudness(sound[at : at + BLOCK_BYTES])
        for at in range(0, len(sound) - BLOCK_BYTES + 1, BLOCK_BYTES)
    ]
    if not levels:
        raise TakeError(Flaw.NOTHING, 0.0)
    loudest, room = max(levels), sorted(levels)[len(levels) // 10]
    _check_level(sound, loudest, room)
    limit = max(loudest - WORD_RANGE, room + LEAST_ABOVE_ROOM / 2)
    loud = [at for at, level in enumerate(levels) if level > limit]
    span = Span(loud[0] * BLOCK_SECONDS, (loud[-1] + 1) * BLOCK_SECONDS)
    seconds = span.end - span.begin
    if seconds < SHORTEST_SECONDS:
        raise TakeError(Flaw.SHORT, seconds)
    if seconds > LONGEST_SECONDS:
        raise TakeError(Flaw.LONG, seconds)
    return span


def _check_level(sound: bytes, loudest: float, room: float) -> None:
    samples = array.array("h", sound[: len(sound) // 2 * 2])
    clipped = sum(abs(sample) >= CLIPPED_SAMPLE for sample in samples)
    if clipped > CLIPPED_SHARE * len(samples):
        raise TakeError(Flaw.CLIPPED, clipped / len(samples))
    if loudest < QUIETEST_WORD:
        raise TakeError(Flaw.QUIET, loudest)
    if loudest - room < LEAST_ABOVE_ROOM:
        raise TakeError(Flaw.NOISY, loudest - room)


def take_of(points: Sequence[Point], span: Span) -> Take:
    """Return the take with these points, one each 80 ms from the recording's begin; raises TakeError."""
    inside = [
        point
        for number, point in enumerate(points, 1)
        if span.begin + LEAD_SECONDS <= number * STEP_SECONDS <= span.end + TAIL_SECONDS
    ]
    if not inside:
        raise TakeError(Flaw.SHORT, span.end - span.begin)
    return Take(tuple(points), tuple(inside))


def difference(one: Take, other: Take) -> float:
    """Return how far apart two takes are: the smaller of both ways to look for one in the other."""
    return min(nearest(one.word, other.points), nearest(other.word, one.points))


def check_like(take: Take, others: Sequence[Take]) -> float:
    """Return the distance to the nearest of ``others``, 0 without any; raises TakeError if it is another word."""
    away = min((difference(take, other) for other in others), default=0.0)
    if away > UNLIKE:
        raise TakeError(Flaw.UNLIKE, away)
    return away


def templates(takes: Sequence[Take]) -> tuple[Template, ...]:
    """Return the word's templates, each with its own threshold: by how far its nearest sister is away."""
    made = []
    for number, take in enumerate(takes):
        others = [other for at, other in enumerate(takes) if at != number]
        away = min((difference(take, other) for other in others), default=NEVER)
        made.append(Template(take.word, min(HIGHEST, max(LOWEST, MARGIN * away))))
    return tuple(made)


def stricter(made: Sequence[Template], others: Sequence[Sequence[Point]]) -> tuple[Template, ...]:
    """Return the templates with thresholds below what ``others``, sounds like the word, are away from each.

    A threshold never falls below `STRICTEST`: then the word is heard by nobody, and its card says so.
    """
    return tuple(
        Template(t.points, max(STRICTEST, min(t.threshold, CLEAR * _away(t, others)))) for t in made
    )


def _away(template: Template, others: Sequence[Sequence[Point]]) -> float:
    return min((nearest(template.points, heard) for heard in others), default=NEVER)


def recalled(takes: Sequence[Take], made: Sequence[Template]) -> int:
    """Return how many of the takes the templates of the others would have heard."""
    count = 0
    for number, take in enumerate(takes):
        others = [template for at, template in enumerate(made) if at != number]
        count += any(nearest(t.points, take.points) <= t.threshold for t in others)
    return count
