"""What the sequential test makes of counts, and how often it errs."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.rollouts.evidence import Counts, Odds, log_ratio, shows_failing

COUNT = st.integers(0, 200_000)
COUNTS = st.builds(Counts, COUNT, COUNT, COUNT, COUNT)


@pytest.mark.parametrize(
    ("counts", "halts"),
    [
        (Counts(), False),
        (Counts(well=1000), False),
        (Counts(suspect=1), False),
        (Counts(suspect=3), True),
        (Counts(well=45, suspect=3), False),
        (Counts(well=45, suspect=5), True),
        (Counts(well=5, bad=1), True),
        (Counts(well=49, bad=1), False),
        (Counts(well=48, bad=2), True),
        (Counts(well=40, recovered=1, bad=1), False),
        (Counts(well=900, recovered=9, bad=1), False),
        (Counts(well=99_950, bad=50), False),
        (Counts(well=98_900, bad=1100), True),
    ],
)
def test_what_halts(counts: Counts, halts: bool) -> None:  # noqa: FBT001  # a table
    assert shows_failing(counts, Odds()) is halts


@given(COUNTS, st.sampled_from(["suspect", "bad"]))
def test_a_failure_more_never_speaks_for_a_version_and_a_success_never_against_it(
    counts: Counts, kind: str
) -> None:
    before = log_ratio(counts, Odds())
    assert log_ratio(replace(counts, **{kind: getattr(counts, kind) + 1}), Odds()) > before
    assert log_ratio(replace(counts, well=counts.well + 1), Odds()) < before


@given(COUNTS, st.floats(0.001, 0.2))
def test_who_wants_to_err_less_halts_later(counts: Counts, error: float) -> None:
    if shows_failing(counts, Odds(error=error / 2)):
        assert shows_failing(counts, Odds(error=error))


@cache
def is_halted(well: int, recovered: int, bad: int) -> bool:
    """Return what the test says; runs of the same version meet the same counts."""
    return shows_failing(Counts(well, recovered, 0, bad), Odds())


def halted_at(seed: int, lasting: float, chance: float, machines: int) -> int | None:
    """Return after how many machines a version is halted; each is tried twice at most."""
    random_ = random.Random(seed)
    well = recovered = bad = 0
    for number in range(1, machines + 1):
        for_good = random_.random() < lasting
        if not (for_good or random_.random() < chance):
            well += 1
        elif for_good or random_.random() < chance:
            bad += 1
        else:
            recovered += 1
        if is_halted(well, recovered, bad):
            return number
    return None


def test_a_version_that_fails_on_a_tenth_is_halted_within_fifty_machines_and_a_good_one_is_not() -> (
    None
):
    assert sum(halted_at(seed, 0.1, 0.01, 50) is not None for seed in range(300)) >= 0.95 * 300
    assert sum(halted_at(seed, 0.0, 0.01, 300) is not None for seed in range(60)) <= 1
