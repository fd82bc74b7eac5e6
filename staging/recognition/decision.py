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
# What a syllable that the texts do not have costs, in nats: short words lose to long titles without it.
PER_WRONG_SYLLABLE = 1.0
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
    """Nats by which it is ahead of the best that asks for something else, less what is wrong in both."""
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
    ranked = sorted(zip(scores, candidates, strict=True), key=lambda pair: -fit(*pair))
    if not ranked:
        return Decision(None)
    best = ranked[0][1]
    evidence = weigh(ranked)
    if evidence.weight > 0:
        return Decision(best)
    asked = best.intent.action is Action.PLAY and evidence.per_syllable >= OFFERED_MIN
    return Decision(None, _titles(ranked) if asked else ())


def weigh(ranked: Sequence[tuple[float, Candidate]]) -> Evidence:
    """Return what speaks for the first of candidates that are sorted as `decide` sorts them."""
    score, best = ranked[0]
    # A title that is not in the catalogue is told from one that is by the sound alone.
    titled = best.intent.action is Action.PLAY
    fits = [(each.intent, points if titled else fit(points, each)) for points, each in ranked]
    second = max((points for intent, points in fits if intent != best.intent), default=0.0)
    # Silence is a rival too, and its score is 0.
    ahead = fits[0][1] - max(second, 0.0)
    return Evidence(score / max(best.syllables, 1), ahead, best.distance, best.title_distance)


def fit(score: float, each: Candidate) -> float:
    """Return how well a candidate fits the sound and the texts together, in nats."""
    return score - PER_WRONG_SYLLABLE * each.distance * each.syllables


def _titles(ranked: Sequence[tuple[float, Candidate]]) -> tuple[str, ...]:
    titles = (each.intent.title for _, each in ranked if each.intent.action is Action.PLAY)
    return tuple(dict.fromkeys(titles))[:NEAREST]
