"""The page reads and writes the same texts as the device (static/js/grammar.js)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from resources.loudness.limits import Limits, parse_limits
from resources.loudness.night import parse_night, show_night
from tests.staging.console.page import Page
from wire.errors import FieldError
from wire.rules import parse_rules
from wire.sleep import parse_timer

SCRIPT = """
  const [reader, writer, texts, done] = arguments;
  import('/console/static/js/grammar.js').then((grammar) => done(texts.map((text) => {
    const read = grammar[reader](text);
    return read === null || !writer ? read : grammar[writer](read);
  })))"""
QUIET = ("", "quiet 20:30-06:30", "quiet 12:30-14:00, 20:30-06:30")
DAILY = ("", "daily 0", "daily 1440")
BONUS = ("", "bonus 15")
THEN = ("", "then fade", "then finish")
TONIGHT = ("", "tonight free", "tonight last", "tonight 22:00-07:00")
NO_RULES = (
    "", "on", "quiet", "quiet 20:30", "quiet 25:00-06:00", "daily -1", "daily 1441", "daily 1.5", "bonus 601",
    "then stop", "constructor 5", "tonight late", "daily 60; daily 60", "daily 60;", "bed 20:00",
    "quiet 1:00-2:00, 3:00-4:00, 5:00-6:00, 7:00-8:00, 9:00-10:00",
)  # fmt: skip
TIMERS = ("off", "end", "1", "600", "after 1", "after 99", " OFF ", "After  2")
TIMES = ("at 20:30", "at 8:05", "AT  0:00", "at 08:30 or 20:30")
NO_TIMERS = (
    "at",
    "at 8",
    "at 8:60",
    "at 25:00",
    "at 8:30 pm",
    "at 8:30 or",
    "",
    "0",
    "601",
    "after 0",
    "after 100",
    "after",
    "20 minutes",
    "-1",
    "1.5",
    "on",
)


def in_page(page: Page, reader: str, writer: str, texts: list[str]) -> list[Any]:
    found: list[Any] = page.browser.execute_async_script(SCRIPT, reader, writer, texts)
    return found


def refused(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except FieldError:
        return True
    return False


def test_rules_are_written_as_the_device_writes_them(page: Page) -> None:
    clauses = itertools.product(QUIET, DAILY, BONUS, THEN, TONIGHT)
    texts = ["; ".join(filter(None, chosen)) or "off" for chosen in clauses]
    assert in_page(page, "readRules", "writeRules", texts) == [
        str(parse_rules(text)) for text in texts
    ]
    loose = ["OFF", "Daily 5;QUIET 1:05-2:00,3:00-04:00", " bonus  15 ;  then finish"]
    assert in_page(page, "readRules", "writeRules", loose) == [str(parse_rules(t)) for t in loose]
    assert [text for text in NO_RULES if not refused(parse_rules, text)] == []
    assert in_page(page, "readRules", "", list(NO_RULES)) == [None] * len(NO_RULES)


def test_a_timer_is_read_as_the_device_reads_it(page: Page) -> None:
    timers = [parse_timer(text) for text in TIMERS]
    assert in_page(page, "readTimer", "", list(TIMERS)) == [
        {"kind": timer.kind, "amount": timer.amount} for timer in timers
    ]
    times = [parse_timer(text) for text in TIMES]
    assert in_page(page, "readTimer", "", list(TIMES)) == [
        {"kind": "at", "amount": 0, "time": str(timer).removeprefix("at ")} for timer in times
    ]
    assert [text for text in NO_TIMERS if not refused(parse_timer, text)] == []
    assert in_page(page, "readTimer", "", list(NO_TIMERS)) == [None] * len(NO_TIMERS)


def test_limits_and_night_are_written_as_the_device_writes_them(page: Page) -> None:
    limits = ["max=12 min=0 start=6", "start=last max=16 min=0", " max=1  min=1 start=1"]
    written = [str(parse_limits(text, Limits())) for text in limits]
    assert in_page(page, "readLimits", "writeLimits", limits) == written
    nights = ["21:00-06:30 max=5", "off", "00:00-12:00  max=16"]
    written = [show_night(parse_night(text)) for text in nights]
    assert in_page(page, "readNight", "writeNight", nights) == written
    no_limits = ["", "max=12 min=0", "max=12 max=1 min=0 start=1", "max=last min=0 start=1", "loud"]
    assert in_page(page, "readLimits", "", no_limits) == [None] * len(no_limits)
    no_nights = ["", "on", "21:00-06:30", "25:00-06:30 max=5", "21:00-06:60 max=5", "9-6 max=5"]
    assert [text for text in no_nights if not refused(parse_night, text)] == []
    assert in_page(page, "readNight", "", no_nights) == [None] * len(no_nights)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"state":"rewinding"}', '{"state":', "a tape"]
)
def test_what_tells_no_state_is_no_player(page: Page, text: str) -> None:
    assert in_page(page, "readPlayer", "", [text]) == [None]


def test_members_of_another_type_are_left_out(page: Page) -> None:
    told = '{"state":"playing","title":7,"position":-1,"length":"long","index":1.5,"queue":[[0,"a"],["b",1],3]}'
    assert in_page(page, "readPlayer", "", [told]) == [
        {"state": "playing", "title": "", "source": "", "position": None, "length": None, "index": None,
         "count": None, "queue": [[0, "a"]]}
    ]  # fmt: skip
