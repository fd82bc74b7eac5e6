"""How often a server of stories may be asked, whoever asks."""

from __future__ import annotations

import pytest

from resources.online.pace import Pace


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def pace(now: list[float]) -> Pace:
    return Pace(lambda: now[0])


def asked_in_a_minute(pace: Pace, now: list[float], patience: float, step: float) -> int:
    """Ask every ``step`` seconds for a minute; return how many requests go out within it."""
    begin, count = now[0], 0
    while now[0] < begin + 60:
        wait = pace.wait("slow.test", patience)
        count += wait is not None and now[0] + wait < begin + 60
        now[0] += step
    return count


@pytest.mark.parametrize("step", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("patience", [0.0, 5.0])
def test_a_server_is_asked_a_hundred_times_a_minute_at_most(
    pace: Pace, now: list[float], patience: float, step: float
) -> None:
    assert 60 <= asked_in_a_minute(pace, now, patience, step) <= 100


def test_who_asks_now_and_then_never_waits(pace: Pace, now: list[float]) -> None:
    for _ in range(200):
        assert pace.wait("a.test", 5.0) == 0.0
        now[0] += 1.0


def test_each_of_those_who_wait_has_a_moment_of_its_own_and_no_other_server_waits(
    pace: Pace,
) -> None:
    waits = [pace.wait("a.test", 5.0) for _ in range(60)]
    late = [wait for wait in waits if wait]
    assert late == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert waits[-1] is None
    assert pace.wait("b.test", 5.0) == 0.0


def test_who_is_refused_does_not_let_others_wait_longer(pace: Pace, now: list[float]) -> None:
    for _ in range(500):
        pace.wait("a.test", 0.0)
    now[0] += 1.0
    assert pace.wait("a.test", 0.0) == 0.0


def test_of_thousands_of_servers_those_are_kept_in_mind_that_were_asked_last(pace: Pace) -> None:
    for number in range(3000):
        pace.wait(f"{number}.test", 0.0)
    assert list(pace._until) == [f"{number}.test" for number in range(2936, 3000)]
