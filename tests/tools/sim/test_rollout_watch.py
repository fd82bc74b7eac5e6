"""What the simulation finds wrong with a rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tools.sim.rollout_watch import Order, Plan, RolloutWatch, Seen

PLAN = Plan(("25%", "tag:first", "100%"), 4, frozenset({"d"}), soak=30, per_minute=2)
WELL = Order(1, "a", "SUCCESS", 1_000, 9_000)
ONE = Seen("PUBLISHED", 1, 0, orders=(WELL,))
TWO = Seen("PUBLISHED", 2, 40_000, orders=(WELL, Order(2, "d", "CREATED", 45_000)))


def look(*seen: Seen, watch: RolloutWatch | None = None) -> list[str]:
    found = watch or RolloutWatch(PLAN)
    for number, each in enumerate(seen):
        found.look(each, 10_000 * number)
    return found.broken


def test_what_goes_by_its_phases_breaks_nothing() -> None:
    everything = (*TWO.orders, Order(3, "b", "SUCCESS", 120_000), Order(4, "c", "FAILED", 190_000))
    ended = replace(TWO, opened=3, phase_time=100_000, orders=everything)
    assert look(ONE, TWO, ended) == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([replace(ONE, orders=(WELL, Order(2, "b", "CREATED", 99_000)))], "2 machines were reached"),
        ([ONE, replace(TWO, orders=(WELL, Order(2, "b", "CREATED", 45_000)))], "2 machines were reached"),
        ([ONE, replace(TWO, phase_time=29_000)], "a phase opened 29 s after the one before"),
        ([replace(ONE, orders=()), replace(TWO, orders=())], "0 were updated and 0 have failed before"),
        ([ONE, replace(TWO, orders=(replace(WELL, status="FAILED"),))], "0 were updated and 1 have failed before"),
        ([replace(ONE, status="HALTED", halt_time=50_000, orders=(WELL, Order(2, "a", "CREATED", 60_000)))],
         "order 2 was begun 10000 ms after it was stopped"),
        ([replace(ONE, halt_time=500)], "order 1 was begun 500 ms after it was stopped"),
        ([replace(ONE, orders=tuple(Order(n, "a", "FAILED", 1_000 * n) for n in range(3)))], "3 orders were begun in a minute"),
    ],
    ids=str,
)  # fmt: skip
def test_what_may_not_be_is_told(seen: list[Seen], told: str) -> None:
    (fault,) = look(*seen)
    assert told in fault


def test_a_pause_begins_nothing_until_it_is_resumed() -> None:
    watch = RolloutWatch(PLAN)
    watch.begin("pause", 10_000)
    watch.done("pause", 11_000)
    watch.note_order("a", 25_000)
    look(ONE, watch=watch)
    assert watch.broken == []
    watch.note_order("a", 32_000)
    watch.note_offer("a", 12_000)
    assert watch.broken == [
        "a was handed its order 21 s after it was stopped",
        "it is offered to a, and is stopped",
    ]
    watch.begin("resume", 40_000)
    watch.done("resume", 41_000)
    look(replace(ONE, orders=(WELL, Order(2, "a", "CREATED", 50_000))), watch=watch)
    assert len(watch.broken) == 2


def test_a_phase_that_an_operator_opens_waits_for_nothing() -> None:
    watch = RolloutWatch(PLAN)
    look(ONE, watch=watch)
    watch.begin("open", 1_000)
    watch.done("open", 1_500)
    assert look(replace(TWO, phase_time=1_200), watch=watch) == []


@pytest.mark.parametrize(
    ("status", "truth", "is_broken"),
    [("SUCCESS", True, False), ("FAILED", False, False), ("FAILED", None, False), ("CREATED", None, True),
     ("SUCCESS", False, True), ("FAILED", True, True), ("SUCCESS", None, True)],
)  # fmt: skip
def test_each_order_ends_as_its_machine_did(
    status: str,
    truth: bool | None,  # noqa: FBT001
    is_broken: bool,  # noqa: FBT001
) -> None:
    watch = RolloutWatch(PLAN)
    ends: dict[str, dict[str, Any]] = {"a": {} if truth is None else {"1": truth}}
    watch.judge_end(replace(ONE, orders=(replace(WELL, status=status),)), ends)
    assert bool(watch.broken) is is_broken
    watch.judge_end(replace(ONE, orders=(replace(WELL, status=status, uuid="whole"),)), ends)
    assert len(watch.broken) == int(is_broken)


def test_who_had_a_newer_version_as_a_share_opened_joins_later_by_its_place() -> None:
    late = replace(ONE, orders=(WELL, Order(2, "b", "CREATED", 45_000)))
    for running, is_broken in (({"b": "1.0.0"}, True), ({"b": "1.10.0", "a": "1.2.0"}, False)):
        watch = RolloutWatch(PLAN)
        watch.note_versions(ONE, "1.2.0", running)
        assert bool(look(ONE, late, watch=watch)) is is_broken
        assert "a" not in watch.uncovered  # by its order
