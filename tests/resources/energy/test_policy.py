"""What is done about a low battery, on a virtual clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from machine.battery import Charge
from resources.energy.policy import Act, Levels, Policy

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
READINGS = 3
RETRY_SECONDS = 60.0

STEP = 15.0


class Run:
    """A policy that gets a reading each 15 s."""

    def __init__(self, levels: Levels = Levels()) -> None:  # noqa: B008  # frozen
        self.policy = Policy(levels)
        self.now = 0.0

    def read(self, *percents: int | None, powered: bool | None = False) -> list[Act]:
        acts: list[Act] = []
        for percent in percents:
            self.now += STEP
            acts += self.policy.note(Charge(percent, powered), self.now)
        return acts

    def stays(self, percent: int, *, powered: bool | None = False) -> list[Act]:
        return self.read(*[percent] * READINGS, powered=powered)


def test_a_battery_that_runs_down_warns_twice_and_powers_off_once() -> None:
    run = Run()
    acts = [(percent, act) for percent in range(30, 2, -1) for act in run.stays(percent)]
    assert acts[:3] == [(15, Act.WARN), (8, Act.WARN), (4, Act.POWER_OFF)]
    assert [act for _, act in acts[3:]] == []


@pytest.mark.parametrize("odd", [0, 1, 3, 4])
def test_one_odd_reading_and_two_do_nothing(odd: int) -> None:
    run = Run()
    assert run.read(60, 60, 60, odd, 60, 60, odd, odd, 60, 60, 60) == []


def test_three_in_a_row_are_believed() -> None:
    run = Run()
    assert run.read(60, 60, 60, 2, 2) == []
    assert run.read(2) == [Act.POWER_OFF]


def test_readings_that_fail_in_between_are_left_out() -> None:
    run = Run()
    assert run.read(60, None, 3, None, None, 3, None) == []
    assert run.read(3) == [Act.POWER_OFF]


def test_a_fall_below_several_levels_is_one_act() -> None:
    assert Run().stays(7) == [Act.WARN]
    assert Run().stays(3) == [Act.POWER_OFF]


def test_a_warning_comes_again_only_after_the_charge_was_well_above() -> None:
    run = Run()
    assert run.stays(15) == [Act.WARN]
    for percent in (16, 15, 19, 14, 16, 13):
        assert run.stays(percent) == []
    run.stays(20)
    assert run.stays(15) == [Act.WARN]


def test_nothing_is_done_while_external_power_is_there() -> None:
    run = Run()
    for percent in (15, 8, 4, 0):
        assert run.stays(percent, powered=True) == []


def test_plugging_in_and_out_is_told_once_each() -> None:
    run = Run()
    assert run.stays(10) == [Act.WARN]
    assert run.read(10, powered=True) == [Act.PLUGGED]
    assert run.read(10, 11, powered=True) == []
    assert run.read(11) == [Act.UNPLUGGED]
    assert run.stays(11) == []  # it was warned of already
    assert run.stays(8) == [Act.WARN]


def test_what_was_read_on_a_charger_does_not_power_off() -> None:
    run = Run()
    run.read(2, 2, 2, 2, powered=True)
    assert run.read(2, 2) == [Act.UNPLUGGED]
    assert run.read(2) == [Act.POWER_OFF]


def test_an_unknown_state_between_two_known_ones_is_no_event() -> None:
    run = Run()
    run.read(50, powered=False)
    assert run.read(50, powered=None) == []
    assert run.read(50, powered=False) == []
    run.read(50, powered=None)
    assert run.read(50, powered=True) == [Act.PLUGGED]


def test_a_gauge_that_does_not_tell_is_charged_while_the_charge_rises() -> None:
    run = Run()
    assert run.read(3, 4, 5, 5, 4, 5, powered=None) == []
    assert run.policy.powered is True
    assert run.read(4, 3, 3, 3, powered=None) == [Act.WARN, Act.POWER_OFF]
    assert run.policy.powered is False


def test_a_gauge_that_does_not_tell_powers_off_all_the_same() -> None:
    assert Run().stays(4, powered=None) == [Act.POWER_OFF]


def test_a_power_off_that_did_not_happen_is_tried_again_with_back_off() -> None:
    run = Run()
    at = [run.now for _ in range(2000) if run.read(2)]
    gaps = [round(b - a) for a, b in itertools.pairwise(at)]
    assert gaps[:4] == [RETRY_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert max(gaps) == 3600


def test_levels_of_0_do_nothing() -> None:
    run = Run(Levels(warn=0, warn_again=0, off=0))
    assert [act for percent in range(20, -1, -1) for act in run.stays(percent)] == []


readings = st.lists(
    st.tuples(
        # Most are about the levels, and of a machine on its battery: else no three that count follow each other.
        st.sampled_from([None, 3, 3, 4, 4, 5, 15, 16]) | st.integers(0, 100),
        st.sampled_from([False, False, False, False, None, True]),
        st.floats(0, 100),
    ),
    max_size=80,
)


@example([(4, False, 60.0)] * READINGS)
@given(readings)
def test_whatever_is_read_it_is_never_powered_off_without_three_low_readings(
    steps: list[tuple[int | None, bool | None, float]],
) -> None:
    policy, now = Policy(Levels()), 0.0
    known: list[int] = []
    for percent, powered, seconds in steps:
        now += seconds
        acts = policy.note(Charge(percent, powered), now)
        if percent is not None:
            known.append(percent)
        if Act.POWER_OFF in acts or Act.WARN in acts:
            assert powered is not True
            assert len(known) >= READINGS
            level = 4 if Act.POWER_OFF in acts else 15
            assert max(known[-READINGS:]) <= level
        assert len(acts) <= 2


@given(st.lists(st.integers(-1, 1), max_size=300))
def test_a_charge_that_wavers_by_one_warns_once(steps: list[int]) -> None:
    run = Run(Levels(warn=15, warn_again=0, off=0))
    acts = [act for step in steps for act in run.read(15 + step)]
    assert acts in ([], [Act.WARN])
