"""Two machines with one identity: they may take turns three times, and then the one that is there stays."""

from __future__ import annotations

import pytest

from tools.sim.twins import Holding


def seen(*registered: tuple[str, float], certain_at: float | None = None) -> list[str]:
    holding = Holding()
    for name, now in registered:
        if certain_at is not None and now > certain_at:
            holding.note_certain(certain_at)
        holding.registered(name, now)
    return holding.broken


TURNS = [("a", 1.0), ("b", 2.0), ("a", 4.0), ("b", 8.0)]


def test_three_turns_are_none_too_many_and_one_that_comes_again_takes_no_place() -> None:
    assert seen(*TURNS) == []
    assert seen(*TURNS, ("b", 300.0), ("b", 600.0)) == []


def test_a_turn_that_was_under_way_is_none_too_many() -> None:
    assert seen(*TURNS, ("a", 20.0)) == []


@pytest.mark.parametrize("later", [100.0, 700.0])
def test_who_takes_the_place_once_it_is_certain_is_named(later: float) -> None:
    (told,) = seen(*TURNS, ("a", later))
    assert "a took the place of b" in told


def test_what_the_cloud_says_is_certain_too() -> None:
    assert seen(("a", 1.0), ("b", 100.0), certain_at=5.0)
    assert not seen(("a", 1.0), ("b", 100.0))


def test_turns_without_an_end_are_named() -> None:
    names = [("ab"[number % 2], float(number)) for number in range(8)]
    assert any("took turns" in told for told in seen(*names))


def test_a_cloud_that_is_another_process_knows_by_its_store_that_there_are_two() -> None:
    holding = Holding()
    for name, now in TURNS:
        holding.registered(name, now)
    holding.forget(300.0)
    holding.registered("b", 301.0)
    holding.registered("a", 305.0)  # was under way
    assert holding.broken == []
    holding.registered("b", 307.0)
    assert holding.broken == ["two machines took turns 2 times in 2 s"]
    holding.registered("a", 345.0)
    assert holding.broken[1:] == [
        "a took the place of b 45 s after it was certain that there are two"
    ]


def test_a_cloud_that_is_another_process_knows_nobody() -> None:
    holding = Holding()
    for name, now in TURNS:
        holding.registered(name, now)
    holding.forget()
    holding.registered("a", 300.0)
    holding.registered("b", 301.0)
    assert holding.broken == []
