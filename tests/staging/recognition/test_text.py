"""The amounts in sentences."""

from __future__ import annotations

import pytest

from staging.recognition.text import parse_numeral


@pytest.mark.parametrize(
    ("text", "number"),
    [("十", 10), ("十五", 15), ("二十", 20), ("两", 2), ("五十六", 56), ("一百", 100),
     ("一百零五", 105), ("一百五", 150), ("一五", 15), ("零", 0), ("〇", 0), ("16", 16), ("007", 7),
     ("十十", None), ("二三十", None), ("", None), ("1000", None), ("百分", None), ("-1", None)],
)  # fmt: skip
def test_numerals(text: str, number: int | None) -> None:
    assert parse_numeral(text) == number
