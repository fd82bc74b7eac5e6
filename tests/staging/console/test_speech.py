"""Byte ranges of an utterance's file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.console.speech import byte_range


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_ranges_lie_within_the_file(size: int, first: int, last: int) -> None:
    try:
        found = byte_range(f"bytes={first}-{last}", size)
    except ValueError:
        assert first >= size or last < first
        return
    assert found == (first, min(last, size - 1))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=0-1,5-6", None),
        ("lines=1-2", None),
        ("bytes=x-2", None),
        ("bytes=-", None),
    ],
)
def test_range_forms(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == expected
