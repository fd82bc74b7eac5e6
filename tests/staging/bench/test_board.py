"""Faults begin, are replaced, and end by themselves, by a clock of the test's."""

from __future__ import annotations

import pytest

from staging.bench.board import Board
from staging.bench.faults import Where
from staging.errors import StagingError
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
DEVICES_LIMIT = 256

UUID, OTHER = "00830000000001", "00830000000002"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_fault_lasts_its_seconds_and_no_longer() -> None:
    clock = Clock()
    board = Board(clock)
    told: list[str] = []
    board.watch(told.append)
    assert board.set(UUID, "slow", {"seconds": 30}).values["bytes_per_second"] == 8000
    assert list(board.active(UUID)) == ["slow"]
    assert not board.active(OTHER)
    clock.now += 29.9
    assert not board.expire()
    clock.now += 0.2
    assert not board.active(UUID)  # also before anybody has looked
    assert [(uuid, fault.name) for uuid, fault in board.expire()] == [(UUID, "slow")]
    assert told == [UUID, UUID]
    assert not board.devices


def test_the_same_fault_again_takes_the_place_of_the_first() -> None:
    board = Board(Clock())
    first = board.set(UUID, "slow", {"bytes_per_second": 1})
    second = board.set(UUID, "slow", {"bytes_per_second": 2})
    assert [fault.number for fault in board.active(UUID).values()] == [second.number]
    assert first.number != second.number
    assert board.to_json(UUID)[0]["values"] == {
        "bytes_per_second": 2, "way": "both", "seconds": 60,
    }  # fmt: skip


def test_faults_are_ended_one_by_one_or_all_at_once() -> None:
    board = Board(Clock())
    for name in ("slow", "delay", "package_broken"):
        board.set(UUID, name)
    assert list(board.of(UUID, Where.LINK)) == ["slow", "delay"]
    assert [fault.name for fault in board.clear(UUID, "delay")] == ["delay"]
    assert board.clear(UUID, "delay") == []
    assert [fault.name for fault in board.clear(UUID)] == ["slow", "package_broken"]
    assert not board.devices
    with pytest.raises(FieldError):
        board.clear(UUID, "no such")


def test_a_fault_that_happens_once_is_not_kept() -> None:
    board = Board(Clock())
    assert board.set(UUID, "kill").name == "kill"
    assert not board.active(UUID)


def test_a_refused_value_changes_nothing() -> None:
    board = Board(Clock())
    with pytest.raises(FieldError):
        board.set(UUID, "slow", {"bytes_per_second": 0})
    assert not board.devices


def test_a_bench_has_a_bound() -> None:
    board = Board(Clock())
    for number in range(DEVICES_LIMIT):
        board.set(f"{number:014x}", "cut")
    with pytest.raises(StagingError, match="have faults already"):
        board.set("f" * 14, "cut")
    board.set(f"{0:014x}", "slow")
