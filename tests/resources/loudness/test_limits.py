"""The value of ``volume_limits``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.loudness.limits import Limits, parse_limits
from wire.errors import FieldError

DAY = Limits(12, 2, 6)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("max=12 min=0 start=6", Limits(12, 0, 6)),
        ("start=last  max=16", Limits(16, 2, None)),
        ("max=5", Limits(5, 2, 5)),
        ("max=1", Limits(1, 1, 1)),
        ("min=8", Limits(12, 8, 8)),
        ("min=14", Limits(14, 14, 14)),
        ("start=2", Limits(12, 2, 2)),
    ],
)
def test_what_a_value_does_not_name_stays_within_the_others(text: str, limits: Limits) -> None:
    assert parse_limits(text, DAY) == limits


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "loud", "max", "max=", "max=0", "max=17", "min=17", "start=17", "max=-1", "max=1.5",
        "max=last", "min=last", "max=12 max=12", "max=4 min=5", "max=4 start=5", "min=7 start=6",
        "start=1", "max=\u0661", "max=12,min=0", "max=012",
    ],
)  # fmt: skip
def test_what_is_no_limit_is_refused_by_name(text: str) -> None:
    with pytest.raises(FieldError, match=r"volume_limits: got .*, expected some of max="):
        parse_limits(text, DAY)


@given(st.integers(1, 16), st.integers(0, 16), st.none() | st.integers(0, 16))
def test_what_is_read_can_be_set(loudest: int, quietest: int, start: int | None) -> None:
    quietest = min(quietest, loudest)
    if start is not None:
        start = min(max(start, quietest), loudest)
    limits = Limits(loudest, quietest, start)
    assert parse_limits(str(limits), DAY) == limits
