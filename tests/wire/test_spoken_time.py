"""A time of day in words is always a time that a clock's face shows so."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.numerals import numeral
from wire.spoken_time import CHINESE_TIME, ENGLISH_TIME, mark_colons, read_time

HOURS = "零一二三四五六七八九十"


def number(said: str) -> int:
    found = numeral(said)
    return int(said) if found is None else found


def read(form: str, text: str) -> tuple[int, ...] | None:
    match = re.fullmatch(form, mark_colons(text))
    return read_time(match, number) if match else None


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_clocks_digits_mean_that_time_or_also_the_other_half_of_the_day(
    hour: int, minute: int
) -> None:
    meant = hour * 60 + minute
    for form in (CHINESE_TIME, ENGLISH_TIME):
        assert read(form, f"{hour:02}:{minute:02}") in {(meant,), (meant % 720, meant % 720 + 720)}
        times = read(form, f"{hour}:{minute:02}")
        assert times is not None
        assert meant in times
        assert {time % 720 for time in times} == {meant % 720}


@pytest.mark.parametrize(
    ("said", "times"),
    [
        ("早上十二点", (0,)),
        ("上午9点", (540,)),
        ("中午一点", (780,)),
        ("中午十一点半", (690,)),
        ("下午十二点半", (750,)),
        ("晚上十一点", (1380,)),
        ("半夜两点", (120,)),
        ("深夜十一点", (1380,)),
        ("早上二十点", None),
        ("三点一刻", (195, 915)),
        ("13点5分", (785,)),
        ("24点一分", None),
    ],
)
def test_the_part_of_the_day_decides(said: str, times: tuple[int, ...] | None) -> None:
    assert read(CHINESE_TIME, said) == times


def test_a_colon_between_other_digits_is_none() -> None:
    assert mark_colons("1:2 12:345 20:30 123:45") == "1:2 12:345 20c30 123:45"
