"""What each side says that it reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.abilities import parse_reads, to_json
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
NAME_LENGTH_LIMIT = 32
NAMES_LIMIT = 32

NAMES = st.frozensets(st.text(max_size=NAME_LENGTH_LIMIT), max_size=NAMES_LIMIT)


@given(NAMES)
def test_what_one_side_names_the_other_reads(names: frozenset[str]) -> None:
    assert parse_reads({"reads": to_json(names)}) == names


def test_who_names_nothing_reads_nothing_more() -> None:
    assert parse_reads({}) == frozenset()


@pytest.mark.parametrize(
    "value", [None, "deadline", {"deadline": 1}, [1], ["x" * 33], ["x"] * 33, [None]]
)
def test_another_shape_is_refused_with_its_name(value: object) -> None:
    with pytest.raises(WireError, match=r"device_info\.reads: got .*expected"):
        parse_reads({"reads": value}, path="device_info.")
