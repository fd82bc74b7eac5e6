"""The proof of reports: each thing that can be wrong with what a cloud has is told, and fails it."""

from __future__ import annotations

from collections import Counter

import pytest

from tools.report_proof.tally import Tally


def made(stored: dict[int, int], *, of_others: int = 0) -> Tally:
    """Return a tally of three numbers that were said, and one that a kill cut off."""
    return Tally(said={1, 2, 3}, may_be={4}, stored=Counter(stored), of_others=of_others)


@pytest.mark.parametrize("stored", [{1: 1, 2: 1, 3: 1}, {1: 1, 2: 1, 3: 1, 4: 1}])
def test_what_was_said_is_stored_once_and_what_a_kill_cut_off_may_be(
    stored: dict[int, int],
) -> None:
    assert made(stored).is_whole


def test_a_device_that_ends_by_an_error_fails_the_proof_whatever_is_stored() -> None:
    tally = made({1: 1, 2: 1, 3: 1})
    tally.died = 1
    assert not tally.is_whole
    assert "1 devices ended by an error" in tally.report()


@pytest.mark.parametrize(
    ("stored", "of_others", "told"),
    [
        ({1: 1, 3: 1}, 0, "1 lost, 0 invented, 0 stored twice, 0 under"),
        ({1: 1, 2: 1, 3: 1, 5: 1}, 0, "0 lost, 1 invented, 0 stored twice, 0 under"),
        ({1: 1, 2: 3, 3: 1}, 0, "0 lost, 0 invented, 2 stored twice, 0 under"),
        ({1: 1, 2: 1, 3: 1, 4: 2}, 0, "0 lost, 0 invented, 1 stored twice, 0 under"),
        ({1: 1, 2: 1, 3: 1}, 1, "0 lost, 0 invented, 0 stored twice, 1 under another device"),
    ],
)
def test_what_is_lost_invented_doubled_or_under_another_device_is_told(
    stored: dict[int, int], of_others: int, told: str
) -> None:
    tally = made(stored, of_others=of_others)
    assert not tally.is_whole
    assert told in tally.report()
