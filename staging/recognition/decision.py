"""Takes one candidate or none: pure, from how well each explains the sound and what was heard.

A wrong action is worse than a refusal, so the best candidate must explain the sound well, clearly
better than any that asks for something else, and must not sound too different from what was heard.
The weights are a logistic regression over the development half of the recognition set; the figures
of the other half are in docs/recognition.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from staging.recognition.candidates import Candidate
from staging.recognition.intents import Action
from staging.recognition.titles import NEAREST

BIAS, PER_SYLLABLE, AHEAD, DISTANCE, TITLE_DISTANCE = -2.9, 0.7, 0.75, -0.9, -3.0
# Being further ahead than this says no more; nats.
AHEAD_MAX = 4.0
# A title that explains the sound at least so well was perhaps asked for: nats a syllable.
OFFERED_MIN = 1.3


@dataclass(frozen=True, slots=True)
class Decision:
    """What was said, or why nobody knows."""

    taken: Candidate | None
    nearest: tuple[str, ...] = ()
    """If a title was asked for and none is taken: up to two that come nearest."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for the best candidate."""

    per_syllable: float
    """Nats by which it explains the sound better than silence does, a syllable."""
    ahead: float
    """Nats by which it is ahead of the best that asks for something else."""
    distance: float
    title_distance: float

    @property
    def weight(self) -> float:
        """The logarithm of the odds that it was said."""
        return (
            BIAS
            + PER_SYLLABLE * self.per_syllable
            + AHEAD * min(self.ahead, AHEAD_MAX)
            + DISTANCE * self.distance
            + TITLE_DISTANCE * self.title_distance
        )


def decide(candidates: Sequence[Candidate], scores: Sequence[float]) -> Decision:
    """Return what was said; ``scores`` are nats, one for each candidate."""
    ranked = sorted(zip(scores, candidates, strict=True), key=lambda pair: -pair[0])
    if not ranked:
        return Decision(None)
    best = ranked[0][1]
    evidence = weigh(ranked)
    if evidence.weight > 0:
        return Decision(best)
    asked = best.intent.action is Action.PLAY and evidence.per_syllable >= OFFERED_MIN
    return Decision(None, _titles(ranked) if asked else ())


def weigh(ranked: Sequence[tuple[float, Candidate]]) -> Evidence:
    """Return what speaks for the first of candidates that are sorted by their scores."""
    score, best = ranked[0]
    second = next((other for other, each in ranked if each.intent != best.intent), 0.0)
    # Silence is a rival too, and its score is 0.
    return Evidence(
        score / max(best.syllables, 1), score - max(second, 0.0), best.distance, best.title_distance
    )


def _titles(ranked: Sequence[tuple[float, Candidate]]) -> tuple[str, ...]:
    titles = (each.intent.title for _, each in ranked if each.intent.action is Action.PLAY)
    return tuple(dict.fromkeys(titles))[:NEAREST]
