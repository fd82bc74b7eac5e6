"""A trial that lacked the cloud: an outage, or the version's fault."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ota.errors import ContentError
from ota.trial.doubt import settle
from ota.trial.given_up import (
    FailedTrials,
    GivenUp,
    check_budget,
    count_trial,
    doubt_trial,
    drop_doubt,
    load_given_up,
)
from tests.moved_clock import on_moved_clock

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
OUTAGE_BUDGET = 10
TRIAL_BUDGET = 3

SHA256 = "a" * 64


def ended(transaction: int) -> GivenUp:
    return GivenUp(SHA256, "1.1.0", 1, str(transaction), "registration: not known yet")


async def reach(_state: Path) -> None:
    await settle(_state, lambda: asyncio.sleep(0))


async def miss(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ota.trial.doubt.OUTAGE_SECONDS", 0.0)
    await settle(state, asyncio.Event().wait)


async def test_outages_do_not_give_a_good_version_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for transaction in range(TRIAL_BUDGET + 1):
        doubt_trial(tmp_path, ended(transaction))
        await miss(tmp_path, monkeypatch)
        check_budget(load_given_up(tmp_path), SHA256)
    trials = load_given_up(tmp_path)
    assert (trials.packages, trials.outages[0].times, trials.doubt) == ((), 4, None)


async def test_a_trial_that_was_an_outage_is_not_counted_again_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refused the failure's report, which is tried again when the doubt is settled."""
    doubt_trial(tmp_path, ended(1))
    count_trial(tmp_path, ended(1))
    await miss(tmp_path, monkeypatch)
    count_trial(tmp_path, ended(1))
    assert load_given_up(tmp_path).packages == ()
    count_trial(tmp_path, ended(2))
    assert [entry.times for entry in load_given_up(tmp_path).packages] == [1]


async def test_outages_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for transaction in range(OUTAGE_BUDGET):
        doubt_trial(tmp_path, ended(transaction))
        await miss(tmp_path, monkeypatch)
    with pytest.raises(ContentError, match=r"given up before: .* 10 times without the cloud"):
        check_budget(load_given_up(tmp_path), SHA256)
    check_budget(load_given_up(tmp_path), "b" * 64)


async def test_a_version_that_alone_does_not_reach_the_cloud_is_given_up(tmp_path: Path) -> None:
    for transaction in range(TRIAL_BUDGET):
        check_budget(load_given_up(tmp_path), SHA256)
        doubt_trial(tmp_path, ended(transaction))
        await reach(tmp_path)
    with pytest.raises(ContentError, match="failed its trial 3 times"):
        check_budget(load_given_up(tmp_path), SHA256)


async def test_an_outage_that_ends_while_the_version_before_tries_is_one(tmp_path: Path) -> None:
    for transaction in range(TRIAL_BUDGET + 1):
        doubt_trial(tmp_path, ended(transaction))
        await settle(tmp_path, lambda: asyncio.sleep(0, result=False))
        check_budget(load_given_up(tmp_path), SHA256)
    trials = load_given_up(tmp_path)
    assert (trials.packages, trials.outages[0].times, trials.doubt) == ((), 4, None)


@pytest.mark.parametrize(("seconds", "outages"), [(59, 0), (61, 1)])
def test_the_version_after_it_has_a_minute_to_reach_the_cloud(
    tmp_path: Path, seconds: float, outages: int
) -> None:
    @on_moved_clock
    async def settled() -> None:
        await settle(tmp_path, lambda: asyncio.sleep(seconds))

    doubt_trial(tmp_path, ended(1))
    settled()
    assert len(load_given_up(tmp_path).outages) == outages


async def test_a_doubt_is_settled_by_a_later_start(tmp_path: Path) -> None:
    doubt_trial(tmp_path, ended(1))
    waiting = asyncio.create_task(settle(tmp_path, asyncio.Event().wait))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert load_given_up(tmp_path).doubt == ended(1)
    await reach(tmp_path)
    assert [entry.times for entry in load_given_up(tmp_path).packages] == [1]
    await reach(tmp_path)
    assert [entry.times for entry in load_given_up(tmp_path).packages] == [1]


def test_what_is_in_doubt_is_not_counted_by_who_was_killed_before_the_report(
    tmp_path: Path,
) -> None:
    doubt_trial(tmp_path, ended(1))
    count_trial(tmp_path, ended(1))
    assert load_given_up(tmp_path) == FailedTrials(doubt=ended(1))
    count_trial(tmp_path, ended(2))
    assert [entry.transaction for entry in load_given_up(tmp_path).packages] == ["2"]


def test_a_doubt_that_nobody_settled_counts_when_the_next_one_comes(tmp_path: Path) -> None:
    doubt_trial(tmp_path, ended(1))
    doubt_trial(tmp_path, ended(2))
    trials = load_given_up(tmp_path)
    assert ([entry.transaction for entry in trials.packages], trials.doubt) == (["1"], ended(2))


def test_a_version_that_was_confirmed_after_all_is_in_no_doubt(tmp_path: Path) -> None:
    drop_doubt(tmp_path)
    doubt_trial(tmp_path, ended(1))
    drop_doubt(tmp_path)
    assert load_given_up(tmp_path) == FailedTrials()
