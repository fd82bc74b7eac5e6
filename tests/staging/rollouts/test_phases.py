"""Which machine is in which phase."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.rollouts.phases import NO_CUT, Machine, Phase, admits, cut_of, parse, place_of
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PLACES = 281_474_976_710_656


UUIDS = [f"{number:014x}" for number in range(200)]


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("1%", Phase(share=1.0)),
        (" 0.5 % ", Phase(share=0.5)),
        ("100%", Phase(share=100.0)),
        ("batch:2026-11", Phase(batches=("2026-11",))),
        ("Batch: a , b,a", Phase(batches=("a", "b"))),
        ("tag:幼儿园", Phase(tags=("幼儿园",))),
    ],
)
def test_a_phase_is_read_and_written(text: str, phase: Phase) -> None:
    assert parse([text]) == (phase,)
    assert parse([str(phase)]) == (phase,)


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ([], "phases: got"),
        (["1%"] * 21, "phases: got"),
        (["10%", "5%"], r"phases\[1\]: got \"5%\", expected a share above 10%"),
        (["100%", "100%"], r"phases\[1\]"),
        (["0%"], r"phases\[0\]: got \"0%\", expected a share above 0% up to 100%"),
        (["101%"], r"phases\[0\]"),
        (["10"], r'expected a share such as "10%"'),
        (["batch:"], r"phases\[0\]"),
        (["country:de"], r"phases\[0\]"),
        (["-1%"], r"phases\[0\]"),
        (["nan%"], r"phases\[0\]"),
        ([""], r"phases\[0\]"),
    ],
)
def test_what_is_no_phase_is_named(texts: list[str], named: str) -> None:
    with pytest.raises(FieldError, match=named):
        parse(texts)


@given(st.integers(1, 200), st.floats(0.001, 100), st.integers(1, 9))
def test_a_share_has_that_many_machines_and_at_least_one(
    count: int, share: float, strategy: int
) -> None:
    places = [place_of(strategy, uuid) for uuid in UUIDS[:count]]
    phase = parse([f"{share:.3f}%"])[0]
    cut = cut_of(phase, places)
    held = sum(admits([phase], [cut], Machine(place, "")) for place in places)
    wanted = (phase.share or 0) * count / 100
    assert wanted - 0.001 <= held < wanted + 1


def test_a_machine_keeps_its_place_and_has_another_one_in_another_strategy() -> None:
    assert place_of(1, UUIDS[0]) == place_of(1, UUIDS[0]) != place_of(2, UUIDS[0])
    assert (
        0
        <= min(place_of(1, uuid) for uuid in UUIDS)
        <= max(place_of(1, uuid) for uuid in UUIDS)
        < PLACES
    )


def test_a_cut_never_falls_and_the_whole_is_for_everybody_to_come() -> None:
    one, ten, whole = parse(["1%", "10%", "100%"])
    assert cut_of(ten, [1, 2, 3], [500]) == 500
    assert cut_of(whole, [], [3]) == PLACES
    assert cut_of(one, []) == round(PLACES / 100)  # without a machine: a share of those that come
    assert cut_of(parse(["batch:a"])[0], [1]) == NO_CUT


def test_an_open_phase_stays_open() -> None:
    planned = parse(["batch:a", "tag:t", "10%"])
    low, high = Machine(1, "b"), Machine(PLACES - 1, "b")
    assert admits(planned, [NO_CUT], Machine(1, "a"))
    assert not admits(planned, [NO_CUT], low)
    assert admits(planned, [NO_CUT, NO_CUT], Machine(1, "b", frozenset({"t"})))
    assert not admits(planned, [NO_CUT, NO_CUT], low)
    assert admits(planned, [NO_CUT, NO_CUT, 5], low)
    assert not admits(planned, [NO_CUT, NO_CUT, 5], high)
    assert not admits(planned, [], Machine(0, "a"))
