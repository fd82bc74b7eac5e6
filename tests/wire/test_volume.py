"""The answer to a volume beyond the limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.volume import parse_refusal, refusal


@given(st.integers(-99, 99), st.integers(0, 16), st.integers(0, 16))
def test_what_is_written_is_read(step: int, low: int, high: int) -> None:
    assert parse_refusal(refusal(step, low, high, "night")) == (low, high)


@pytest.mark.parametrize(
    "text",
    [
        "", "volume: got 17, expected an integer from 0 to 16 in steps of 1",
        "volume: got 1, expected 0 to 9999 now, see night",
        "volume: got 1, expected 0 to 9 now, see night\nmore",
    ],
)  # fmt: skip
def test_another_answer_is_none(text: str) -> None:
    assert parse_refusal(text) is None
