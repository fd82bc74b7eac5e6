"""What a request's body may hold, and what an error about it may repeat."""

from __future__ import annotations

from typing import Any

import pytest

from staging.console.call import id_of, text_of, texts_of
from wire.errors import FieldError, WireError


def test_a_secret_is_neither_stripped_nor_repeated() -> None:
    assert text_of({"a": " x "}, "a") == "x"
    assert text_of({"a": " x "}, "a", secret=True) == " x "
    with pytest.raises(FieldError) as shown:
        text_of({"password": "hunter2"}, "password", limit=3)
    assert "hunter2" in str(shown.value)
    with pytest.raises(FieldError) as hidden:
        text_of({"key": "hunter2"}, "key", limit=3, secret=True)
    assert "hunter2" not in str(hidden.value)
    assert "key: got" in str(hidden.value)


@pytest.mark.parametrize("value", [None, 3, ["x"], "", "  ", "x" * 256])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(FieldError, match="a: got"):
        text_of({"a": value}, "a")


def test_text_that_may_be_empty_and_text_that_is_missing() -> None:
    assert text_of({"a": "  "}, "a", empty=True) == ""
    with pytest.raises(WireError, match="a: missing"):
        text_of({}, "a", empty=True)


def test_lists_and_ids() -> None:
    assert texts_of({"a": [" x ", " "]}, "a") == ["x"]
    assert texts_of({}, "a") == []
    with pytest.raises(FieldError):
        texts_of({"a": ["x", 1]}, "a")
    assert id_of({"a": 7}, "a") == 7
    for value in (True, -1, "7", 1.0, None):
        with pytest.raises(FieldError):
            id_of({"a": value}, "a")
