"""Takes one candidate or none: pure, from how well each explains the sound and what was heard.

A wrong action is worse than a refusal, so the best candidate must explain the sound well, clearly
better than any that asks for something else, and must not sound too different from what was heard.
The weights are a logistic regression over the tuning parts of the recognition set; the figures
of the part that is held out are in docs/recognition.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from staging.recognition.candidates import Candidate
from staging.recognition.intents import Action
from staging.recognition.titles import NEAREST

# What a syllable that the texts do not have costs, in nats: short words lose to long titles without it.
PER_WRONG_SYLLABLE = 2.0
# What a negation costs, in nats: 别 before a command explains any rustle. Real ones are ahead by 4 and more.
NOT_WANTED_COST = 2.0
# Being further ahead than this says no more; and with less, either may have been said, however well both fit. Nats.
AHEAD_MAX, AHEAD_MIN = 4.0, 1.0
# A title that explains the sound at least so well was perhaps asked for: nats a syllable.
OFFERED_MIN = 1.3


@dataclass(frozen=True, slots=True)
class Decision:
    """What was said, or why nobody knows."""

    taken: Candidate | None
    nearest: tuple[str, ...] = ()
    """If a title was asked for and none is taken: up to two that come nearest."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What each piece of evidence is worth, in the logarithm of the odds."""

    bias: float
    per_syllable: float
    ahead: float
    distance: float
    worst: float
    left_over: float


# The commands are few, and the sound tells them apart. A title is one of many, and another that is not in the
# catalogue may differ in one syllable. Both are moved towards refusal, by 0.2.
COMMAND = Weights(-0.68, per_syllable=0.0, ahead=1.55, distance=-1.23, worst=0.0, left_over=-1.86)
TITLE = Weights(-1.13, per_syllable=0.43, ahead=0.70, distance=0.0, worst=-3.20, left_over=-1.04)
# An answer to a question that the machine has just asked; its size is a choice, not a measurement.
EXPECTED = 1.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for the best candidate."""

    per_syllable: float
    """Nats by which it explains the sound better than silence does, a syllable."""
    ahead: float
    """Nats by which it is ahead of the best that asks for something else, less what is wrong in both."""
    best: Candidate

    @property
    def weight(self) -> float:
        """The logarithm of the odds that it was said."""
        best = self.best
        weights = TITLE if best.intent.action is Action.PLAY else COMMAND
        return (
            weights.bias
            + weights.per_syllable * self.per_syllable
            + weights.ahead * min(self.ahead, AHEAD_MAX)
            + weights.distance * best.distance
            + weights.worst * best.worst_syllable
            + weights.left_over * best.left_over
            + EXPECTED * best.expected
        )


def decide(candidates: Sequence[Candidate], scores: Sequence[float]) -> Decision:
    """Return what was said; ``scores`` are nats, one for each candidate."""
    ranked = sorted(zip(scores, candidates, strict=True), key=lambda pair: -fit(*pair))
    if not ranked:
        return Decision(None)
    best = ranked[0][1]
    if best.intent.action is Action.NOTHING:
        return Decision(None)
    evidence = weigh(ranked)
    if evidence.weight > 0 and evidence.ahead >= AHEAD_MIN:
        return Decision(best)
    asked = best.intent.action is Action.PLAY and evidence.per_syllable >= OFFERED_MIN
    return Decision(None, _titles(ranked) if asked else ())


def weigh(ranked: Sequence[tuple[float, Candidate]]) -> Evidence:
    """Return what speaks for the first of candidates that are sorted as `decide` sorts them."""
    score, best = ranked[0]
    rivals = (fit(points, each) for points, each in ranked if each.intent != best.intent)
    # Silence is a rival too, and its score is 0.
    ahead = fit(score, best) - max([0.0, *rivals])
    return Evidence(score / max(best.syllables, 1), ahead, best)


def fit(score: float, each: Candidate) -> float:
    """Return how well a candidate fits the sound and the texts together, in nats."""
    cost = NOT_WANTED_COST if each.intent.action is Action.NOTHING else 0.0
    return score - cost - PER_WRONG_SYLLABLE * each.distance * each.syllables


def _titles(ranked: Sequence[tuple[float, Candidate]]) -> tuple[str, ...]:
    titles = (each.intent.title for _, each in ranked if each.intent.action is Action.PLAY)
    return tuple(dict.fromkeys(titles))[:NEAREST]
