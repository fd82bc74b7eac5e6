"""Whether the updates that ended show that a version fails: a sequential test. No I/O, no clock.

What is compared, machine by machine:

- good: each order fails by chance with probability ``chance``, whatever the machine did before;
- bad: the version fails for good on a share of the machines (lasting), or each order fails more often (flaky).

A machine that fails twice is what tells them apart: by chance that happens to one in 10,000. The shares of the bad
ones are not known, so that several are weighed together (a mixture). The ratio of the probabilities of what was seen,
bad against good, is a martingale if the version is good; by Ville's inequality it ever reaches 1 / ``error`` with a
probability of at most ``error``. So it may be looked at after each report, for as long as the rollout takes, and no
good version is halted more often. What the test finds of bad ones is measured: docs/rollouts.md.

Source: J. Ville, Étude critique de la notion de collectif, 1939; A. Wald, Sequential Analysis, 1947.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

# The bad versions that are weighed, as multiples of the share that is asked for, and their weights together.
LASTING = (0.2, 0.5, 1.0, 2.0, 5.0)
FLAKY = (1.0, 2.0, 4.0)
LASTING_WEIGHT = 0.8
# A share of more than this is no other case than this.
SHARE_MAX = 0.95


@dataclass(frozen=True, slots=True)
class Counts:
    """Machines by what came of their orders, each once; those that are not known yet are in none."""

    well: int = 0
    """Updated by the first order."""
    recovered: int = 0
    """Failed once, and updated by another order."""
    suspect: int = 0
    """Failed once, and no other order has ended yet."""
    bad: int = 0
    """Failed twice, or went back from the version after it had been confirmed."""


@dataclass(frozen=True, slots=True)
class Odds:
    """What the test assumes; shares from 0 to 1, both ends excluded."""

    chance: float = 0.01
    """How often an order fails though the version is good."""
    failing: float = 0.1
    """The share of machines on which a bad version fails."""
    error: float = 0.01
    """How often a good version may be halted, over the whole rollout."""


def log_ratio(counts: Counts, odds: Odds) -> float:
    """Return the logarithm of how much more probable the counts are of a bad version than of a good one."""
    terms = [math.log(weight) + value for weight, value in _cases(counts, odds)]
    highest = max(terms)
    return highest + math.log(sum(math.exp(term - highest) for term in terms))


def shows_failing(counts: Counts, odds: Odds) -> bool:
    """Return whether the counts show that a version fails."""
    return log_ratio(counts, odds) >= -math.log(odds.error)


def _cases(counts: Counts, odds: Odds) -> Iterator[tuple[float, float]]:
    """Yield the weight and the logarithm of the ratio of each bad version."""
    for factor in LASTING:
        yield LASTING_WEIGHT / len(LASTING), _lasting(counts, odds, factor * odds.failing)
    for factor in FLAKY:
        yield (1 - LASTING_WEIGHT) / len(FLAKY), _flaky(counts, odds, factor * odds.failing)


def _lasting(counts: Counts, odds: Odds, wanted: float) -> float:
    """Return the logarithm for a version that fails for good on a share of the machines, and else by chance."""
    share, chance = min(wanted, SHARE_MAX), odds.chance
    once = share + (1 - share) * chance
    twice = share + (1 - share) * chance**2
    return (
        (counts.well + counts.recovered) * math.log(1 - share)
        + counts.suspect * math.log(once / chance)
        + counts.bad * math.log(twice / chance**2)
    )


def _flaky(counts: Counts, odds: Odds, wanted: float) -> float:
    """Return the logarithm for a version of which each order fails with another probability than by chance."""
    share, chance = min(wanted, SHARE_MAX), odds.chance
    fails, works = math.log(share / chance), math.log((1 - share) / (1 - chance))
    return (
        counts.well * works
        + counts.recovered * (fails + works)
        + counts.suspect * fails
        + counts.bad * 2 * fails
    )
