"""The proof of reports: each thing that can be wrong with what a cloud has is told, and fails it."""

from __future__ import annotations

import random
import sys
from collections import Counter
from types import SimpleNamespace
from typing import cast

import pytest

from tools.report_proof.__main__ import main
from tools.report_proof.device import Device
from tools.report_proof.proof import Proof
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


class Puts:
    """A device that puts ten at each look, up to what it was started for, and delivers all at its end."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.kills = self._said = 0
        self.proxy = SimpleNamespace(cuts=5, cuts_on=True)

    @property
    def said(self) -> int:
        self._said = min(self._said + 10, sum(self.asked))
        return self._said

    def start(self, count: int) -> None:
        self.asked.append(count)

    def kill(self) -> None:
        self.kills += 1

    @property
    def is_done(self) -> bool:
        return self.asked[-1] == 1


class Stopped(Proof):
    """A proof of two such devices, without a cloud, that is told to stop once one was killed."""

    def __init__(self) -> None:
        self.puts = [Puts(), Puts()]
        self.devices = cast("list[Device]", self.puts)
        self.tally, self._together, self._stops = Tally(), 50, False
        self._chance = random.Random(1)

    def _wait_for_more(self, said: int) -> None: ...

    def _kill_one(self, each: int) -> None:
        assert each == 500_000
        self.tally.device_kills += 1
        self.stop()


def test_a_proof_that_is_stopped_lets_what_is_put_arrive_and_counts_it() -> None:
    proof = Stopped()
    proof.run(1_000_000, (0.0, 0.0))
    assert [(device.asked, device.kills) for device in proof.puts] == [([500_000, 1], 1)] * 2
    assert (proof.tally.device_kills, proof.tally.cuts) == (3, 10)


def test_a_proof_without_time_puts_no_more() -> None:
    proof = Stopped()
    proof.run(1_000_000, (0.0, 0.0), seconds=-1)
    assert proof.tally.device_kills == 2


def test_a_cut_before_the_first_possible_byte_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["report_proof", "--cut-bytes", "500"])
    with pytest.raises(SystemExit):
        main()
    assert (
        "--cut-bytes: got '500', expected a whole number of at least 501" in capsys.readouterr().err
    )
