"""A button's levels on a virtual clock: each sign of a hand, and what no hand does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.buttons import Button, Fault, Sign

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FLOATING_PRESSES = 60
RESTLESS_EDGES = 200
DEBOUNCE_SECONDS = 0.03
HOLD_SECONDS = 0.35
REST_SECONDS = 2.0
STUCK_SECONDS = 20.0

P, H, T, R, F = Sign.PRESS, Sign.HOLD, Sign.TAP, Sign.RELEASE, Sign.FAULT


class Finger:
    """Moves a button, and wakes it up when it asks for it."""

    def __init__(self, *, pressed: bool = False) -> None:
        self.now = 100.0
        self.button = Button(self.now, pressed=pressed)
        self.signs: list[Sign] = []
        self.times: list[float] = []

    def note(self, signs: list[Sign]) -> None:
        self.signs += signs
        self.times += [round(self.now - 100.0, 6)] * len(signs)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.button.due()) is not None and due <= end:
            assert due >= self.now
            self.now = due
            self.note(self.button.tick(due))
        self.now = end

    def level(self, *, pressed: bool) -> None:
        self.note(self.button.take(self.now, pressed=pressed))

    def play(self, *steps: float) -> None:
        """Press, wait, release, wait, press …"""
        pressed = True
        for seconds in steps:
            self.level(pressed=pressed)
            self.wait(seconds)
            pressed = not pressed


@pytest.mark.parametrize(
    ("steps", "signs"),
    [
        ((0.029, 1.0), []),  # a spark
        ((0.031, 1.0), [P, T]),
        ((0.2, 1.0), [P, T]),
        ((0.349, 1.0), [P, T]),
        ((0.351, 1.0), [P, H, R]),
        ((3.0, 1.0), [P, H, R]),
        ((0.2, 0.2, 0.2, 1.0), [P, T, P, T]),
        ((0.005, 0.005, 0.004, 0.006, 0.2, 0.004, 0.005, 1.0), [P, T]),  # bounces at both ends
        ((0.34, 0.005, 0.2, 1.0), [P, H, R]),  # a bounce just before it counts as held
        ((0.34, 0.02, 0.02, 1.0), [P, H, R]),
        ((STUCK_SECONDS + 0.1, 1.0), [P, H, F]),
        ((600.0, 5.0, 0.2, 1.0), [P, H, F, P, T]),
        ((600.0, REST_SECONDS - 0.1, 0.2, 1.0), [P, H, F]),  # not left alone for long enough
    ],
)
def test_signs(steps: tuple[float, ...], signs: list[Sign]) -> None:
    finger = Finger()
    finger.play(*steps)
    assert finger.signs == signs


def test_the_times_of_a_hold() -> None:
    finger = Finger()
    finger.play(1.0, 1.0)
    assert finger.times == [DEBOUNCE_SECONDS, HOLD_SECONDS, 1.0 + DEBOUNCE_SECONDS]


def test_a_wake_up_that_comes_late_gives_all_signs_in_their_order() -> None:
    button = Button(0.0)
    assert button.take(1.0, pressed=True) == []
    assert button.tick(50.0) == [P, H, F]
    assert button.fault is Fault.STUCK


def test_one_that_is_pressed_when_the_machine_starts_does_nothing_until_it_is_released() -> None:
    finger = Finger(pressed=True)
    finger.wait(3600)
    assert (finger.signs, finger.button.fault) == ([], Fault.STUCK)
    finger.level(pressed=False)
    finger.wait(REST_SECONDS + 0.1)
    assert finger.button.fault is None
    finger.play(0.1, 0.1)
    assert finger.signs == [P, T]


def test_a_line_that_hums_is_restless_and_presses_nothing() -> None:
    finger = Finger()
    for _ in range(2000):
        finger.play(0.01, 0.01)  # the mains
        assert not finger.signs
    finger.play(*[0.002] * RESTLESS_EDGES)
    assert finger.button.fault is Fault.RESTLESS
    finger.wait(REST_SECONDS + 0.1)
    assert finger.button.fault is None


def test_what_a_press_began_ends_when_its_line_becomes_restless() -> None:
    finger = Finger()
    finger.play(1.0, *[0.001] * (RESTLESS_EDGES + 1))
    assert finger.signs == [P, H, F]


def test_a_line_that_floats_slowly_is_ignored_in_the_end() -> None:
    finger = Finger()
    finger.play(*[0.1, 0.4] * (3 * FLOATING_PRESSES))
    assert finger.button.fault is Fault.FLOATING
    assert finger.signs.count(P) < FLOATING_PRESSES
    finger.wait(REST_SECONDS + 1)
    assert finger.button.fault is None


@pytest.mark.parametrize(
    ("presses", "apart", "fault"),
    [(59, 0.5, None), (60, 1.01, Fault.FLOATING), (90, 1.02, None)],
)
def test_sixty_presses_within_a_minute_are_no_hands(
    presses: int, apart: float, fault: Fault | None
) -> None:
    finger = Finger()
    finger.play(*[0.1, apart - 0.1] * presses)
    assert finger.button.fault is fault


@pytest.mark.parametrize(
    ("edges", "apart", "fault"),
    [(199, 0.001, None), (200, 0.00502, Fault.RESTLESS), (300, 0.00503, None)],
)
def test_two_hundred_edges_within_a_second_are_no_contacts(
    edges: int, apart: float, fault: Fault | None
) -> None:
    finger = Finger()
    finger.play(*[apart] * edges)
    assert finger.button.fault is fault


LEVELS = st.lists(
    st.tuples(
        st.booleans(),
        st.one_of(st.floats(0, 0.06), st.floats(0.3, 0.4), st.floats(0, 3), st.just(25.0)),
    ),
    max_size=80,
)


@given(levels=LEVELS, pressed=st.booleans())
def test_whatever_the_line_does_each_press_ends_and_nothing_lasts(
    *, levels: list[tuple[bool, float]], pressed: bool
) -> None:
    finger = Finger(pressed=pressed)
    for level, seconds in levels:
        finger.level(pressed=level)
        finger.wait(seconds)
    finger.wait(STUCK_SECONDS + REST_SECONDS + 1)
    open_since = None
    held = False
    for sign, at in zip(finger.signs, finger.times, strict=True):
        if sign is P:
            assert open_since is None
            open_since, held = at, False
            continue
        assert open_since is not None
        assert at - open_since <= STUCK_SECONDS + DEBOUNCE_SECONDS
        if sign is H:
            assert not held
            held = True
        else:
            assert (sign is R) == held or sign is F
            open_since = None
    assert open_since is None  # a hold that never ends is a fault in the end


@given(st.lists(st.floats(0, DEBOUNCE_SECONDS - 0.001), max_size=60))
def test_no_bounce_is_a_press(times: list[float]) -> None:
    finger = Finger()
    finger.play(*times)
    finger.level(pressed=False)
    finger.wait(1)
    assert finger.signs == []


@given(st.lists(st.floats(0, DEBOUNCE_SECONDS - 0.001), max_size=4), st.floats(0.04, 0.1))
def test_a_press_that_bounces_is_one_tap(bounces: list[float], seconds: float) -> None:
    finger = Finger()
    bounces = [*bounces, *bounces]  # an even number: pressed in the end
    finger.play(*bounces, seconds, *bounces, 1.0)
    assert finger.signs == [P, T]
