"""What a rollout does next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from staging.rollouts.decision import (
    AFTER,
    ALLOWED,
    Act,
    Health,
    State,
    Step,
    Want,
    Why,
    check_act,
    decide,
    needs_waiting,
)
from staging.rollouts.evidence import Counts
from staging.rollouts.settings import settings_of
from wire.errors import FieldError

SETTINGS = settings_of({"soak": 3600, "sample": 50, "hours": 100, "sound": 2})
DAY = 86_400.0
GOOD = Health(Counts(well=50), waiting=0, linked=50, hours=100.0, played=5, heard=2)


def wants(health: Health, soaked: float = DAY) -> list[str]:
    return [wait.want.value for wait in decide(SETTINGS, health, soaked, last=False).waits]


def test_the_next_phase_opens_when_nothing_is_waited_for() -> None:
    assert decide(SETTINGS, GOOD, DAY, last=False) == Step(opens=True)
    assert decide(SETTINGS, GOOD, DAY, last=True) == Step()


@pytest.mark.parametrize(
    ("other", "want"),
    [
        ({"counts": Counts(well=49), "waiting": 1, "linked": 49}, Want.SAMPLE),
        ({"counts": Counts(well=49), "waiting": None, "linked": 49}, Want.SAMPLE),
        ({"counts": Counts(well=49), "running": 1, "linked": 49}, Want.SAMPLE),
        ({"counts": Counts(well=50, suspect=1), "retrying": 1}, Want.RETRIES),
        ({"linked": 44}, Want.LINK),
        ({"hours": 99.9}, Want.HOURS),
        ({"heard": 1}, Want.SOUND),
    ],
)
def test_each_thing_that_lacks_is_waited_for(other: dict[str, Any], want: Want) -> None:
    assert wants(replace(GOOD, **other)) == [want.value]


def test_time_is_waited_for() -> None:
    assert wants(GOOD, 3599) == ["soak"]


def test_a_phase_with_fewer_machines_than_the_sample_is_over_with_them() -> None:
    ten = replace(GOOD, counts=Counts(well=10), linked=10)
    assert wants(ten) == []
    assert wants(replace(ten, waiting=3)) == ["sample"]
    assert wants(Health(waiting=0, hours=100)) == ["sample"]  # nobody was there at all


def test_machines_that_do_not_play_are_not_waited_for() -> None:
    assert wants(replace(GOOD, played=1, heard=1)) == []
    assert wants(replace(GOOD, played=0, heard=0)) == []


def test_a_version_that_fails_is_halted_whatever_else_is_well() -> None:
    failing = replace(GOOD, counts=Counts(well=48, bad=2))
    assert decide(SETTINGS, failing, DAY, last=False).halts is Why.FAILING
    assert decide(SETTINGS, failing, 0, last=True).halts is Why.FAILING


def test_too_few_successes_hold_a_phase_and_halt_it_once_it_is_over() -> None:
    odds = settings_of({"soak": 0, "hours": 0, "sample": 40, "success": 99})
    poor = Health(Counts(well=39, suspect=1), retrying=0, linked=39, waiting=5)
    step = decide(odds, poor, DAY, last=False)
    assert ([wait.want for wait in step.waits], step.halts) == ([Want.SUCCESS], None)
    assert needs_waiting(odds, poor)
    assert decide(odds, replace(poor, waiting=0), DAY, last=False).halts is Why.SUCCESS
    assert decide(odds, replace(poor, waiting=0, running=1), DAY, last=False).halts is None
    assert decide(odds, replace(poor, waiting=None), DAY, last=False).halts is None
    again = replace(poor, counts=Counts(well=39, suspect=2), waiting=0, retrying=1)
    assert decide(odds, again, DAY, last=False).halts is None  # its second order may bring it


@pytest.mark.parametrize(
    ("machines", "halts"), [(50, Why.SUCCESS), (66, Why.SUCCESS), (67, None), (100, None)]
)
def test_by_default_one_machine_of_fifty_that_fails_for_good_is_too_many(
    machines: int, halts: Why | None
) -> None:
    over = Health(Counts(well=machines - 1, bad=1), linked=machines - 1, waiting=0, hours=DAY)
    step = decide(settings_of({}), over, DAY, last=False)
    assert (step.halts, step.opens) == (halts, halts is None)


COUNT = st.integers(0, 1000)


@example(GOOD, DAY, False)  # drawn; it opens, as no other example does
@given(
    st.builds(
        Health, st.builds(Counts, COUNT, COUNT, COUNT, COUNT), COUNT, st.none() | COUNT, st.just(0), COUNT,
        st.floats(0, 1e6), COUNT, COUNT, COUNT,
    ),
    st.floats(0, 1e6),
    st.booleans(),
)  # fmt: skip
def test_it_never_does_two_things_and_never_opens_while_it_waits(
    health: Health, soaked: float, last: bool  # noqa: FBT001  # drawn
) -> None:  # fmt: skip
    step = decide(SETTINGS, health, soaked, last=last)
    assert not (step.opens and (step.halts or step.waits or last))
    if step.opens:
        assert health.ended
        assert health.success is not None
        assert health.success >= SETTINGS.success


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("state", State)
def test_an_act_is_possible_or_says_from_where(act: Act, state: State) -> None:
    if state in ALLOWED[act]:
        check_act(act, state)
        return
    with pytest.raises(FieldError, match=f'state: got "{state}", expected .* to {act}'):
        check_act(act, state)


def test_nothing_but_a_person_starts_what_was_stopped() -> None:
    assert {AFTER[act] for act in (Act.START, Act.RESUME)} == {State.PUBLISHED}
    assert State.HALTED not in ALLOWED[Act.START]
    assert State.WITHDRAWN not in ALLOWED[Act.RESUME]
