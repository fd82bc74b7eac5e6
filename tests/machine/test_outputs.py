"""Which level each output gets."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.outputs import (
    FAINTEST,
    Outputs,
    decibels,
    is_same,
    ramp,
    ramp_steps,
    settle,
)

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STEP_DECIBELS = 2.6
RAMP_SECONDS = 0.2

LEVELS = st.floats(0, 1.5)


def outputs(default: str = "usb", run: str = "1", **levels: float) -> Outputs:
    return Outputs(run, default, levels)


KNOWN = outputs(usb=0.5, hdmi=0.5)


@pytest.mark.parametrize(
    ("now", "known", "kept", "limit", "puts", "level", "turned"),
    [
        # Nobody has set a level: the device's own stays, and is everybody's.
        (outputs(usb=0.7), None, None, 1.0, {}, 0.7, False),
        (outputs(usb=0.7, hdmi=1.0), None, None, 1.0, {"hdmi": 0.7}, 0.7, False),
        (outputs(usb=0.7), None, None, 0.4, {"usb": 0.4}, 0.4, False),
        # What is new gets the kept level: a device, a run of the server, a default output.
        (outputs(usb=1.0), None, 0.5, 1.0, {"usb": 0.5}, 0.5, False),
        (outputs(usb=0.5, hdmi=0.5, bt=1.0), KNOWN, 0.5, 1.0, {"bt": 0.5}, 0.5, False),
        (outputs(run="2", usb=1.0), KNOWN, 0.5, 1.0, {"usb": 0.5}, 0.5, False),
        (outputs("hdmi", usb=0.5, hdmi=0.9), KNOWN, 0.5, 1.0, {"hdmi": 0.5}, 0.5, False),
        # A knob on the default output is the machine's; on another one it is put back.
        (outputs(usb=0.8, hdmi=0.5), KNOWN, 0.5, 1.0, {"hdmi": 0.8}, 0.8, True),
        (outputs(usb=0.5, hdmi=0.8), KNOWN, 0.5, 1.0, {"hdmi": 0.5}, 0.5, False),
        (outputs(usb=0.0, hdmi=0.5), KNOWN, 0.5, 1.0, {"hdmi": 0.0}, 0.0, True),
        # No knob beats the limit, and a lower limit holds at once.
        (outputs(usb=0.8, hdmi=0.5), KNOWN, 0.5, 0.6, {"usb": 0.6, "hdmi": 0.6}, 0.6, True),
        (KNOWN, KNOWN, 0.5, 0.3, {"usb": 0.3, "hdmi": 0.3}, 0.3, False),
        (outputs(usb=1.5), None, None, 1.0, {"usb": 1.0}, 1.0, False),
        # Rounding is neither a knob nor a reason to set a level again.
        (outputs(usb=0.501, hdmi=0.5), KNOWN, 0.5, 1.0, {}, 0.5, False),
        (outputs(usb=0.47, hdmi=0.5), outputs(usb=0.47, hdmi=0.5), 0.5, 1.0, {}, 0.5, False),
    ],
)
def test_settle(
    now: Outputs, known: Outputs | None, kept: float | None, limit: float,
    puts: dict[str, float], level: float, turned: bool,  # noqa: FBT001  # a table
) -> None:  # fmt: skip
    found = settle(now, known, kept, limit)
    assert (dict(found.puts), found.level, found.turned) == (puts, level, turned)


def test_while_locked_a_knob_is_put_back() -> None:
    found = settle(outputs(usb=0.8, hdmi=0.5), KNOWN, 0.5, 1.0, locked=True)
    assert (found.puts, found.level, found.turned) == ({"usb": 0.5}, 0.5, False)


def test_an_output_that_came_after_the_level_was_put_is_yet_to_be_settled() -> None:
    now = outputs(usb=0.5, hdmi=0.5, bt=1.0)
    known = now.only(KNOWN)
    assert settle(now, known, 0.5, 1.0).puts == {"bt": 0.5}
    assert not known.is_as(now)


def test_a_filter_that_boosts_is_set_to_full() -> None:
    now = Outputs("1", "usb", {"usb": 0.5}, frozenset({"echo"}))
    assert settle(now, None, 0.5, 1.0).puts == {"echo": 1.0}


@given(
    st.dictionaries(st.sampled_from("abcd"), LEVELS, min_size=1),
    st.none() | st.dictionaries(st.sampled_from("abcd"), LEVELS, min_size=1),
    st.none() | st.floats(0, 1), st.floats(0, 1), st.booleans(), st.booleans(),
)  # fmt: skip
def test_no_output_is_ever_above_the_limit_and_a_second_look_changes_nothing(
    now: dict[str, float], known: dict[str, float] | None, kept: float | None, limit: float,
    same_run: bool, locked: bool,  # noqa: FBT001  # drawn
) -> None:  # fmt: skip
    before = Outputs("1" if same_run else "0", min(known), known) if known else None
    first = settle(Outputs("1", min(now), now), before, kept, limit, locked=locked)
    after = now | dict(first.puts)
    # What a card has rounded stays, where it was told the same level before.
    told = kept is not None and is_same(first.level, kept)
    for key, level in after.items():
        rounded = told and known is not None and same_run and key in known
        assert level <= limit + 0.003 or rounded
    settled = Outputs("1", min(after), after)
    again = settle(settled, settled, first.level, limit, locked=locked)
    assert (again.level, again.turned) == (first.level, False)
    assert not again.puts


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_ramp_begins_and_ends_where_it_should_and_never_leaves_that_range(
    start: float, end: float
) -> None:
    assert ramp(start, end, 1.0) == end
    low, high = sorted((max(start, FAINTEST), max(end, FAINTEST)))
    points = [ramp(start, end, part / 10) for part in range(10)]
    if max(start, end) > FAINTEST:
        assert all(low - 1e-9 <= point <= high + 1e-9 for point in points)
        steps = [decibels(b) - decibels(a) for a, b in itertools.pairwise(points)]
        assert max(steps) - min(steps) < 1e-6


@pytest.mark.parametrize(
    ("start", "end", "seconds", "count", "lasts"),
    [
        (0.0, -2.5, None, 1, 0.0), (0.0, -5.0, None, 2, RAMP_SECONDS),
        (-37.5, 0.0, None, 15, RAMP_SECONDS), (-90.0, 0.0, None, 20, RAMP_SECONDS),
        (0.0, -27.5, 3.0, 11, 3.0), (0.0, 0.0, 3.0, 1, 3.0), (0.0, -20.0, 0.0, 1, 0.0),
    ],
)  # fmt: skip
def test_a_ramp_has_so_many_steps_that_none_is_heard(
    start: float, end: float, seconds: float | None, count: int, lasts: float
) -> None:
    found, wait = ramp_steps(10 ** (start / 60), 10 ** (end / 60), seconds)
    assert found == count
    assert found * wait == pytest.approx(lasts)


@given(st.floats(0, 1), st.floats(0, 1))
def test_no_step_of_a_ramp_is_large(start: float, end: float) -> None:
    count, _ = ramp_steps(start, end, None)
    levels = [ramp(start, end, number / count) for number in range(count + 1)]
    gains = [decibels(max(level, FAINTEST)) for level in levels]
    assert all(abs(b - a) <= STEP_DECIBELS + 1e-6 for a, b in itertools.pairwise(gains))


def test_decibels() -> None:
    assert decibels(0.5) == pytest.approx(-18.06, abs=0.01)
    assert decibels(0.0) == -math.inf
