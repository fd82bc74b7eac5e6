"""The last minute before a limit, second by second."""

from __future__ import annotations

from resources.times.countdown import Action, Countdown, Fade, Restore, Sign, Silence


class Machine:
    """A countdown on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.countdown = Countdown(lambda: self.now)

    def at(self, left: float | None, natural: float | None = None) -> Action | None:
        return self.countdown.step(left, natural=natural)


def test_a_sign_a_fade_and_silence() -> None:
    machine = Machine()
    done = {}
    for second in range(91):
        machine.now = 100.0 + second
        action = machine.at(90.0 - second)
        if action is not None:
            done[90 - second] = action
    assert done == {60: Sign(), 25: Fade(25.0), 0: Silence()}


def test_silence_is_asked_for_until_it_is_silent() -> None:
    machine = Machine()
    machine.at(10.0)
    machine.now += 10
    assert machine.at(0.0) == machine.at(-5.0) == Silence()
    machine.countdown.reset()
    assert machine.at(None) is None
    assert not machine.countdown.ending


def test_a_limit_that_moves_takes_the_fade_back() -> None:
    machine = Machine()
    machine.at(61.0)
    machine.at(20.0)
    assert machine.countdown.fading
    assert machine.at(600.0) == Restore()
    assert not machine.countdown.ending
    assert [machine.at(60.0), machine.at(25.0)] == [Sign(), Fade(25.0)]


def test_a_limit_that_goes_away_takes_the_fade_back() -> None:
    machine = Machine()
    machine.at(20.0)
    assert machine.at(None) == Restore()


def test_what_is_over_at_once_fades_for_a_moment() -> None:
    machine = Machine()
    assert machine.at(-1000.0) == Fade(2.0)
    machine.now += 1.9
    assert machine.at(-1001.9) is None
    machine.now += 0.1
    assert machine.at(-1002.0) == Silence()


def test_who_orders_a_minute_needs_no_sign() -> None:
    machine = Machine()
    assert machine.at(60.0) is None
    assert machine.at(59.0) is None
    assert machine.at(25.0) == Fade(25.0)


def test_the_natural_end_of_the_last_story_has_a_sign_and_no_fade() -> None:
    machine = Machine()
    assert machine.at(30000.0, 61.0) is None
    assert machine.at(30000.0, 60.0) == Sign()
    assert [machine.at(30000.0, left) for left in (25.0, 1.0, 0.0)] == [None] * 3


def test_the_next_step_is_known_ahead() -> None:
    machine = Machine()
    assert machine.countdown.until_next(None) is None
    assert machine.countdown.until_next(100.0) == 40.0
    assert machine.countdown.until_next(45.0) == 20.0
    machine.at(25.0)
    assert machine.countdown.until_next(25.0) == 25.0
    machine.now += 60
    assert machine.countdown.until_next(-35.0) == 0.0
