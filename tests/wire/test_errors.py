"""Values in messages: short, printable, and not shown if secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.test_fields import JSON
from wire.errors import FieldError, show
from wire.fields import get_string


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(FieldError) as caught:
        get_string({"token": ["s3cret"]}, "token", secret=True)
    assert str(caught.value) == (
        "token: got a list that is not shown, expected a string that is not empty"
    )


@given(st.text(max_size=500) | st.binary(max_size=500) | JSON)
def test_a_shown_value_is_one_short_printable_line(value: object) -> None:
    shown = show(value)
    assert shown.isprintable()
    assert len(shown) <= 80


def test_a_value_that_cannot_be_shown_is_said_so() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert show(nested) == "a list that cannot be shown"
    assert show(10**5000) == "a int that cannot be shown"
    while nested:  # otherwise its deallocation would recurse as deep
        nested = nested.pop()
