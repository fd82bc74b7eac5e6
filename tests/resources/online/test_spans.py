"""Ranges of bytes against a set of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resources.online.spans import Spans

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)


@given(RANGES, st.integers(0, 70))
def test_spans_are_a_set_of_bytes(ranges: list[tuple[int, int]], at: int) -> None:
    spans = Spans(ranges)
    held = {byte for first, end in ranges for byte in range(first, end)}
    assert {byte for first, end in spans.ranges for byte in range(first, end)} == held
    assert spans.total == len(held)
    assert spans.end == max(held, default=-1) + 1
    gap = next(byte for byte in range(at, 200) if byte not in held)
    assert spans.gap(at) == gap
    assert spans.run(at) == gap - at
    # In order, and none touches the next.
    assert all(a[1] < b[0] for a, b in zip(spans.ranges, spans.ranges[1:], strict=False))


def test_what_touches_is_one_range() -> None:
    assert Spans([(0, 3), (6, 9), (3, 6)]).ranges == [(0, 9)]
