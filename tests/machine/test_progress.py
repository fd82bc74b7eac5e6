"""What the end of a source means, by tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.progress import End, Progress, Tries, is_beginning_instead, judge_end

WHOLE = 10_000_000

# Seconds, as a number of the test: it is not taken from the source.
BACK_OFF = (0.0, 0.5, 1.0, 2.0)


@pytest.mark.parametrize(
    ("progress", "cut"),
    [
        (Progress(12.0, 96.0, WHOLE // 8, WHOLE), True),
        (Progress(12.0, 96.0, WHOLE, WHOLE), False),  # the duration was a wrong estimate
        (Progress(12.0, 96.0, WHOLE - 128, WHOLE), False),  # an ID3v1 tag is not read
        (Progress(12.0, 96.0), True),
        (Progress(12.0, 96.0, None, WHOLE), True),
        (Progress(95.0, 96.0), False),
        (Progress(93.9, 96.0), True),
        (Progress(3590.0, 3600.0, WHOLE // 2, WHOLE), False),
        (Progress(0.0, 0.4), False),
        (Progress(12.0, None, WHOLE // 8, WHOLE), False),
    ],
)
def test_a_cut_is_told_from_an_end(progress: Progress, *, cut: bool) -> None:
    assert progress.is_cut is cut


@pytest.mark.parametrize(
    ("reason", "stream", "end"),
    [
        ("eof", True, End.CUT), ("eof", False, End.FINISHED), ("error", True, End.CUT),
        ("error", False, End.FAILED), ("redirect", True, End.FAILED), ("quit", True, End.FAILED),
        ("stop", False, End.FAILED), ("unknown", True, End.FAILED),
    ],
)  # fmt: skip
def test_what_mpvs_reasons_mean_in_the_middle(reason: str, end: End, *, stream: bool) -> None:
    assert judge_end(reason, Progress(12.0, 96.0), stream=stream) is end


def test_the_end_of_a_stream_is_its_end() -> None:
    assert judge_end("eof", Progress(95.9, 96.0), stream=True) is End.FINISHED


@pytest.mark.parametrize(
    ("wanted", "position", "is_so"),
    [(30.0, 0.0, True), (30.0, None, True), (30.0, 29.9, False), (2.0, 0.0, False)],
)
def test_a_beginning_instead_of_the_rest(
    wanted: float, position: float | None, *, is_so: bool
) -> None:
    assert is_beginning_instead(wanted, position) is is_so


def test_tries_end_without_progress_and_begin_anew_with_it() -> None:
    tries = Tries()
    assert [tries.next_wait(5.0) for _ in range(len(BACK_OFF) + 1)] == [*BACK_OFF, None]
    assert tries.next_wait(6.0) == BACK_OFF[0]
    assert tries.next_wait(5.5) == BACK_OFF[1]


@given(st.lists(st.floats(0, 3), max_size=200))
def test_tries_without_progress_are_bounded(positions: list[float]) -> None:
    tries = Tries()
    allowed = [wait for at in positions if (wait := tries.next_wait(at)) is not None]
    assert len(allowed) <= len(BACK_OFF) * 4  # each second of a three-second story once


@pytest.mark.parametrize(
    ("duration", "wanted", "place"),
    [
        (20.0, 5.0, 5.0), (20.0, 19.5, 19.0), (20.0, 900.0, 19.0), (20.0, -3.0, 0.0),
        (0.4, 5.0, 0.0), (None, 900.0, 900.0), (None, -1.0, 0.0),
    ],
)  # fmt: skip
def test_a_place_is_within_the_source(duration: float | None, wanted: float, place: float) -> None:
    assert Progress(duration=duration).clamp(wanted) == place


def test_progress_is_told_with_its_length() -> None:
    assert Progress(12.04, 96.0).describe() == "12.0 s of 96.0 s"
    assert Progress(12.04).describe() == "12.0 s"
