"""Facts behave as frozen dataclasses do."""

from __future__ import annotations

from typing import Any

import pytest

from wire.facts import Fact


class Point(Fact):
    x: int
    y: int = 0


class Other(Fact):
    x: int
    y: int = 0


class Nothing(Fact):
    pass


class Nil(Fact):
    pass


def test_equal_members_of_one_class_are_equal() -> None:
    assert Point(1) == Point(x=1, y=0)
    assert hash(Point(1)) == hash(Point(1, 0))
    assert Point(1) != Point(2)
    for one, other in ((Point(1), Other(1)), (Nothing(), Nil()), (Nothing(), ())):
        assert one != other
    assert len({Point(1), Point(1, 0), Other(1), Nothing(), Nothing()}) == 3


def test_a_fact_is_shown_matched_and_never_changed() -> None:
    fact: Any = Point(1, y=2)
    assert repr(fact) == "Point(x=1, y=2)"
    assert repr(Nothing()) == "Nothing()"
    match fact:
        case Point(x, 2):
            assert x == 1
        case _:
            pytest.fail("not matched")
    with pytest.raises(AttributeError, match=r"Point\.x cannot be changed"):
        setattr(fact, "x", 3)  # noqa: B010  # the type checker knows that it cannot be


@pytest.mark.parametrize(
    ("values", "named", "message"),
    [
        ((), {}, "Point: x is missing"), ((1, 2, 3), {}, "Point: expected at most 2 members"),
        ((1,), {"x": 2}, "Point: x: unknown or given twice"), ((1,), {"z": 2}, "Point: z: unknown"),
    ],
)  # fmt: skip
def test_a_fact_has_its_members(
    values: tuple[int, ...], named: dict[str, int], message: str
) -> None:
    make: Any = Point
    with pytest.raises(TypeError, match=message):
        make(*values, **named)
