"""What the simulation finds wrong with who is let in at the log-in, and who has to wait."""

from __future__ import annotations

import pytest

from tools.sim.log_ins import HOME, LogIns, elsewhere

THERE = elsewhere(1)


class Door:
    """Tries at one process of a cloud, at the times that a test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.found = LogIns(lambda: self.now, lambda _name: None)

    def guess(self, at: float, status: int = 401, number: int = 1) -> None:
        self.now, place = at, elsewhere(number)
        self.found.sent(1, place, right=False)
        self.found.gone(1)
        self.found.wrong(1, place, at, status)

    def log_in(self, status: int = 302) -> None:
        self.found.sent(1, HOME, right=True)
        self.found.gone(1)
        self.found.right(1, HOME, status, is_noted=True)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize(
    ("at", "is_broken"),
    [((0, 0, 0, 0, 0, 15, 45, 105), False), ((0, 0, 0, 0, 0, 14), True), ((0, 0, 0, 0, 0, 15, 44), True),
     ((0, 0, 0, 0, 0, 3600, 3600, 3600, 3600, 3600, 3615), False)],
)  # fmt: skip
def test_five_wrong_passwords_are_looked_at_and_then_one_after_each_wait(
    door: Door,
    at: tuple[float, ...],
    is_broken: bool,  # noqa: FBT001
) -> None:
    for seconds in at:
        door.guess(100.0 + seconds)
    assert bool(door.found.broken) is is_broken


def test_who_is_held_back_is_not_looked_at(door: Door) -> None:
    for _ in range(5):
        door.guess(100.0)
    for _ in range(50):
        door.guess(101.0, 429)
    assert door.found.broken == []


@pytest.mark.parametrize(("count", "is_broken"), [(30, False), (31, True)])
def test_an_account_is_guessed_from_everywhere_so_often(
    door: Door,
    count: int,
    is_broken: bool,  # noqa: FBT001
) -> None:
    for number in range(count):
        door.guess(100.0, number=number)
    assert bool(door.found.broken) is is_broken


@pytest.mark.parametrize(("seconds", "is_broken"), [(900.0, False), (1000.0, True)])
def test_the_owner_waits_for_a_quarter_of_an_hour_where_nobody_knows_them(
    door: Door,
    seconds: float,
    is_broken: bool,  # noqa: FBT001
) -> None:
    door.found.held_back(1, HOME, seconds)
    assert bool(door.found.broken) is is_broken


def test_the_owner_does_not_wait_at_home_for_what_others_guess_elsewhere(door: Door) -> None:
    door.log_in()
    door.guess(110.0)
    door.found.held_back(1, HOME, 15.0)
    assert door.found.broken == [
        "the owner was told to wait for 15 s at home, and 0 s are the most there"
    ]


@pytest.mark.parametrize(("seconds", "is_broken"), [(60.0, False), (75.0, True)])
def test_the_owner_waits_for_a_minute_where_somebody_guesses_at_home(
    door: Door,
    seconds: float,
    is_broken: bool,  # noqa: FBT001
) -> None:
    door.log_in()
    door.found.sent(1, HOME, right=False)
    door.found.gone(1)
    door.found.held_back(1, HOME, seconds)
    assert bool(door.found.broken) is is_broken


def test_who_has_waited_is_let_in_unless_somebody_else_has_tried(door: Door) -> None:
    door.guess(110.0)
    door.found.still_held_back(1, THERE, since=110.0)
    assert door.found.broken == []
    door.found.still_held_back(1, THERE, since=111.0)
    assert len(door.found.broken) == 1


@pytest.mark.parametrize(("right", "status"), [(True, 401), (True, 500), (False, 302), (False, 500)])  # fmt: skip
def test_the_right_password_alone_is_let_in(
    door: Door,
    right: bool,  # noqa: FBT001
    status: int,
) -> None:
    if right:
        door.log_in(status)
    else:
        door.guess(100.0, status)
    assert len(door.found.broken) == 1
