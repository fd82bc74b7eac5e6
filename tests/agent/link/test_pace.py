"""How long the link waits, by its error, its life and the trial; nothing here waits."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link import (
    ConnectError,
    IdentityTakenError,
    LinkError,
    LostError,
    OutOfDateError,
    RegistrationRefusedError,
    TlsError,
    UntrustedError,
)
from agent.link.pace import Pace, clock_was_set
from agent.settings import LinkSettings

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SPREAD_SECONDS = 12.0
TRIAL_SECONDS = 5.0

SETTINGS = LinkSettings(retry_max_seconds=60, refused_retry_seconds=300)
SLOW = (UntrustedError, OutOfDateError, RegistrationRefusedError, IdentityTakenError)


def pace(*, on_trial: bool = False, seed: int = 1) -> Pace:
    return Pace(SETTINGS, lambda: on_trial, random.Random(seed))


def waits(paced: Pace, error: LinkError, lived: float | None, count: int) -> list[float]:
    return [paced.wait_after(error, lived) for _ in range(count)]


@pytest.mark.parametrize("kind", SLOW)
def test_what_does_not_pass_is_tried_every_few_minutes(kind: type[LinkError]) -> None:
    assert all(150 <= wait <= 300 for wait in waits(pace(), kind("why"), None, 5))


def test_what_passes_is_tried_in_seconds_and_less_and_less() -> None:
    found = waits(pace(), TlsError("alert"), None, 12)
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(found[:6]))
    assert all(30 <= wait <= 60 for wait in found[8:])


@given(st.lists(st.sampled_from([ConnectError, TlsError, *SLOW]), min_size=1), st.integers())
def test_while_a_version_is_on_trial_nothing_is_slow(
    kinds: list[type[LinkError]], seed: int
) -> None:
    paced = pace(on_trial=True, seed=seed)
    assert all(paced.wait_after(kind("why"), None) <= TRIAL_SECONDS for kind in kinds)


@pytest.mark.parametrize("kind", SLOW)
def test_what_does_not_pass_is_tried_every_5_s_while_a_version_is_on_trial(
    kind: type[LinkError],
) -> None:
    assert waits(pace(on_trial=True), kind("why"), None, 5) == [5.0] * 5


def test_a_link_that_came_back_and_broke_soon_does_not_wait_as_the_outage_did() -> None:
    paced = pace()
    assert waits(paced, ConnectError("down"), None, 10)[-1] >= 30
    assert paced.wait_after(LostError("gone"), 10) <= 0.5
    assert paced.wait_after(ConnectError("down"), None) <= 0.5


def test_a_link_that_breaks_again_and_again_waits_longer_each_time() -> None:
    paced = pace()
    found = waits(paced, LostError("gone"), 10, 10)
    assert found[-1] >= 30
    paced.wait_after(LostError("gone"), 3600)
    assert paced.wait_after(LostError("gone"), 10) <= 0.5


def test_the_links_that_a_restart_ended_come_back_spread() -> None:
    found = sorted(pace(seed=seed).wait_after(LostError("restart"), 3600) for seed in range(1000))
    assert found[0] < 0.1
    assert found[-1] <= SPREAD_SECONDS
    # In no quarter of a second do twice as many come as on average.
    average = 1000 * 0.25 / SPREAD_SECONDS
    assert all(
        sum(start <= wait < start + 0.25 for wait in found) < 2 * average
        for start in (n * 0.25 for n in range(int(SPREAD_SECONDS * 4)))
    )


@pytest.mark.parametrize(
    ("clock", "ticks", "was_set"),
    [(10, 10, False), (11, 10, False), (1e9, 10, True), (-1e9, 10, True), (13, 10, True)],
)
def test_a_clock_that_is_set_moves_away_from_the_ticks(
    clock: float, ticks: float, *, was_set: bool
) -> None:
    assert clock_was_set((100.0, 5.0), (100.0 + clock, 5.0 + ticks)) is was_set


def test_who_came_too_early_after_a_restart_comes_back_spread_too() -> None:
    paced = pace()
    paced.wait_after(LostError("restart"), 3600)
    assert 0 <= paced.wait_after(ConnectError("down"), None) <= SPREAD_SECONDS
    assert paced.wait_after(ConnectError("down"), None) <= 0.5
    seconds = [_second(seed) for seed in range(500)]
    assert max(seconds) > SPREAD_SECONDS * 0.9
    assert min(seconds) < SPREAD_SECONDS * 0.1


def _second(seed: int) -> float:
    paced = pace(seed=seed)
    paced.wait_after(LostError("restart"), 3600)
    return paced.wait_after(ConnectError("down"), None)
