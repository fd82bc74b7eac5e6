"""Numbers in Chinese characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.numerals import numeral, read_numeral

DIGITS = "零一二三四五六七八九"
UNITS = ((1000, "千"), (100, "百"), (10, "十"), (1, ""))


def written(number: int) -> str:
    """Write a number below 10,000 as it is taught in school."""
    text, gap = "", False
    for unit, name in UNITS:
        digit, number = divmod(number, unit)
        if digit:
            text += ("零" if gap and text else "") + DIGITS[digit] + name
        gap = not digit
    return text or "零"


@given(st.integers(0, 9999))
def test_every_number_is_read_as_it_is_written(number: int) -> None:
    assert numeral(written(number)) == number
    if 10 <= number < 20:
        assert numeral(written(number).removeprefix("一")) == number


@given(st.integers(1, 9999), st.integers(1000, 9999))
def test_every_number_of_two_groups(high: int, low: int) -> None:
    assert numeral(f"{written(high)}万{written(low)}") == high * 10**4 + low
    assert numeral(f"{written(high)}亿{written(low)}萬") == high * 10**8 + low * 10**4


@pytest.mark.parametrize(
    ("text", "value"),
    [("二〇二六", 2026), ("一九八四", 1984), ("〇七", 7), ("两", 2), ("兩百", 200), ("廿一", 21), ("卅", 30),
     ("一百五", 150), ("一百零五", 105), ("三千六", 3600), ("两万五", 25000), ("一百十五", 115),
     ("一万零一百", 10100), ("十万", 100_000)],
)  # fmt: skip
def test_other_ways_to_write(text: str, value: int) -> None:
    assert numeral(text) == value


@pytest.mark.parametrize(
    "text", ["", "百", "万", "千与", "十百", "一二十", "百五", "万亿", "5", "a"]
)
def test_what_is_no_number(text: str) -> None:
    assert numeral(text) is None


@pytest.mark.parametrize(
    ("text", "start", "read"),
    [("第三集", 1, (3, 2)), ("三只小猪", 0, (3, 1)), ("一二十", 0, (12, 2)), ("千与千寻", 0, None),
     ("a", 0, None), ("一千零一夜", 0, (1001, 4)), ("十百", 0, (10, 1))],
)  # fmt: skip
def test_the_longest_number_at_a_place(text: str, start: int, read: tuple[int, int] | None) -> None:
    assert read_numeral(text, start) == read


@given(st.text("零〇一二两三九十百千万亿廿", max_size=60))
def test_any_run_is_read_to_somewhere(text: str) -> None:
    read = read_numeral(text)
    assert read is None or (read[0] >= 0 and 0 < read[1] <= len(text))
