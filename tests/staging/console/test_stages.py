"""An utterance's stages: the device's clock and the cloud's in one row, whatever of both is missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.console.stages import Told, read_told, stages
from staging.store.utterances import StoredSegment, Utterance
from wire.utterance_times import UtteranceTimes
from wire.voice import VoiceSegment

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
NEAR_MS = 600_000

START = 1_495_000_000_000


def spoken(*arrivals: int, eof: bool = True) -> Utterance:
    stored = [
        StoredSegment(ts, VoiceSegment(10001, n, 8000, eof=eof and n == len(arrivals) - 1))
        for n, ts in enumerate(arrivals)
    ]
    return Utterance(10001, 8000, stored)


def told(ts: int = START + 3000, number: int = 10001, **seconds: float) -> Told:
    return Told(ts, UtteranceTimes(number, "sent", seconds))


def outcome(
    number: int | None = 10001, time: int = START + 2000, *, was_done: bool = True, **at: int
) -> dict[str, Any]:
    return {"utterance": number, "time": time, "done": was_done, "stages": at}


WHOLE = spoken(START, START + 300, START + 1500)
DEVICE = told(opened=0.4, began=1.2, first_segment=1.25, ended=2.6, sent=2.8, answered=4.0)
DONE = outcome(recognised=START + 2400, ordered=START + 2410, done=START + 2440)


def named(found: list[dict[str, Any]]) -> dict[str, int]:
    return {entry["stage"]: entry["ms"] for entry in found}


def test_all_of_it_in_the_order_in_which_it_happened() -> None:
    found = named(stages(WHOLE, [DEVICE], [DONE]))
    assert list(found.items()) == [
        ("opened", 400), ("began", 1200), ("first_segment", 1250), ("ended", 2600), ("eof", 2750),
        ("recognised", 3650), ("ordered", 3660), ("done", 3690), ("answered", 4000),
    ]  # fmt: skip


def test_without_the_devices_times_they_count_from_the_first_segment() -> None:
    found = named(stages(WHOLE, [], [DONE]))
    assert found == {
        "first_segment": 0,
        "eof": 1500,
        "recognised": 2400,
        "ordered": 2410,
        "done": 2440,
    }
    assert named(stages(spoken(START, START + 300, eof=False), [told(opened=0.4)], [])) == {
        "first_segment": 0
    }


@pytest.mark.parametrize(
    ("report", "entry"),
    [
        (told(number=10002, first_segment=1.0), outcome(10002, recognised=START)),
        (told(START - 1, first_segment=1.0), outcome(time=START - 1, recognised=START)),
        (told(START + NEAR_MS, first_segment=1.0), outcome(time=START + NEAR_MS, recognised=START)),
        (told(number=10002), outcome(None, recognised=START)),
    ],
)  # fmt: skip
def test_what_belongs_to_another_utterance_is_left_out(report: Told, entry: dict[str, Any]) -> None:
    assert named(stages(WHOLE, [report], [entry])) == {"first_segment": 0, "eof": 1500}


def test_what_was_not_done_is_not_shown_as_done() -> None:
    entry = outcome(was_done=False) | {"stages": {"recognised": START + 2400, "done": START + 2500}}
    assert "done" not in named(stages(WHOLE, [], [entry]))
    old = {"utterance": 10001, "time": START + 2000, "done": True}  # of a cloud before this one
    assert named(stages(WHOLE, [], [old])) == {"first_segment": 0, "eof": 1500}


def test_reports_that_cannot_be_read_are_passed_over() -> None:
    good = {"id": 10001, "end": "sent", "seconds": {"first_segment": 1.0}}
    assert read_told([(1, None), (2, "x"), (3, good), (4, good | {"seconds": 3})]) == [
        Told(3, UtteranceTimes(10001, "sent", {"first_segment": 1.0}))
    ]


@given(
    st.dictionaries(
        st.sampled_from(["opened", "began", "first_segment", "ended", "answered"]),
        st.floats(0, 600),
    ),
    st.dictionaries(
        st.sampled_from(["recognised", "ordered", "done"]), st.integers(START, START + NEAR_MS)
    ),
)
def test_they_are_always_in_order(seconds: dict[str, float], at: dict[str, int]) -> None:
    found = stages(
        WHOLE, [Told(START, UtteranceTimes(10001, "sent", seconds))], [outcome() | {"stages": at}]
    )
    assert [entry["ms"] for entry in found] == sorted(entry["ms"] for entry in found)
