"""The sleep timer's grammar: each value is read and written in the same words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import FieldError
from wire.sleep import DAY_MINUTES, END, OFF, after, at, minutes, parse_timer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MINUTES_MAX = 600
STORIES_MAX = 99

TIMERS = st.one_of(
    st.just(OFF),
    st.just(END),
    st.integers(1, MINUTES_MAX).map(minutes),
    st.integers(1, STORIES_MAX).map(after),
    st.lists(st.integers(0, DAY_MINUTES - 1), min_size=1, max_size=2).map(lambda times: at(*times)),
)


@given(TIMERS)
def test_what_is_written_is_read_again(timer: object) -> None:
    assert parse_timer(str(timer)) == timer


@pytest.mark.parametrize(
    ("text", "timer"),
    [("off", OFF), (" OFF ", OFF), ("20", minutes(20)), ("020", minutes(20)), ("End", END),
     ("after  2", after(2)), ("at 20:30", at(1230)), ("AT 8:05 or 20:05", at(485, 1205)), ("at 24:00", at(0)), ("1", minutes(1)), ("600", minutes(600))],
)  # fmt: skip
def test_blanks_and_case_do_not_count(text: str, timer: object) -> None:
    assert parse_timer(text) == timer


@pytest.mark.parametrize(
    "text", ["", "0", "601", "-1", "2.5", "after", "after 0", "after 100", "after two", "end 2", "on", "at", "at 8", "at 8:60", "at 24:01", "at 8:30 pm", "at 8:30 or", "at ٨:٣٠",
             "20 min", "٢٠", "9" * 5000, "after " + "9" * 5000]
)  # fmt: skip
def test_what_is_refused_names_field_value_and_expectation(text: str) -> None:
    with pytest.raises(
        FieldError, match=r'sleep_timer: got .* expected "off", minutes from 1 to 600'
    ):
        parse_timer(text)
