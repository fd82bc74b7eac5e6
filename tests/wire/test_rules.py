"""The parents' rules' grammar: each value is read and written in the same words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.errors import FieldError
from wire.rules import AtLimit, Period, Rules, Tonight, parse_listening, parse_rules

MINUTES = st.integers(0, 1439)
PERIODS = (
    st.tuples(MINUTES, MINUTES).filter(lambda pair: pair[0] != pair[1]).map(lambda p: Period(*p))
)
RULES = st.builds(
    Rules,
    quiet=st.lists(PERIODS, max_size=4).map(tuple),
    daily=st.none() | st.integers(0, 1440),
    bonus=st.none() | st.integers(0, 600),
    then=st.none() | st.sampled_from(AtLimit),
    tonight=st.none() | PERIODS | st.sampled_from(Tonight),
)


@given(RULES)
def test_what_is_written_is_read_again(rules: Rules) -> None:
    assert parse_rules(str(rules)) == rules


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("off", Rules()),
        (" OFF", Rules()),
        ("quiet 20:30-06:30", Rules(quiet=(Period(1230, 390),))),
        ("quiet 8:05 - 9:00,12:30-14:00", Rules(quiet=(Period(485, 540), Period(750, 840)))),
        ("quiet 20:00-24:00", Rules(quiet=(Period(1200, 0),))),
        ("Daily 60 ; then FINISH", Rules(daily=60, then=AtLimit.FINISH)),
        ("daily 0", Rules(daily=0)),
        ("bonus 15", Rules(bonus=15)),
        ("tonight free", Rules(tonight=Tonight.FREE)),
        ("tonight 22:00-07:00; bonus 0", Rules(tonight=Period(1320, 420), bonus=0)),
    ],
)
def test_values(text: str, rules: Rules) -> None:
    assert parse_rules(text) == rules


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'rules: got "", expected off, or clauses'),
        (";", "expected off, or clauses"),
        ("daily 60;", "expected off, or clauses"),
        ("daily 60; daily 30", "rules.daily: got .*, expected one clause$"),
        (
            "quiet 1:00-2:00; quiet 3:00-4:00",
            r"rules.quiet: got .*, expected one clause, its periods \(at most 4\) with commas",
        ),
        ("off; daily 60", "expected off, or clauses"),
        ("loud 12", "expected off, or clauses"),
        ("daily", 'rules.daily: got "", expected minutes from 0 to 1440'),
        ("daily 1441", 'rules.daily: got "1441", expected minutes from 0 to 1440'),
        ("daily -5", "rules.daily"),
        ("daily 1.5", "rules.daily"),
        ("bonus 601", 'rules.bonus: got "601", expected minutes from 0 to 600'),
        ("quiet", "rules.quiet"),
        ("quiet 20:30", "rules.quiet: got"),
        ("quiet 20:30-25:00", "expected two local times such as 20:30-06:30"),
        ("quiet 20:60-06:00", "expected two local times"),
        ("quiet 06:00-06:00", "expected two different local times"),
        ("quiet 00:00-24:00", "expected two different local times"),
        ("quiet 1:00-2:00,3:00-4:00,5:00-6:00,7:00-8:00,9:00-10:00", "at most 4 periods"),
        ("quiet ٢٠:30-06:30", "rules.quiet"),
        ("then stop", "rules.then: got .*expected one of fade, finish"),
        ("tonight", "rules.tonight"),
        ("tonight never", "rules.tonight"),
    ],
)
def test_what_is_refused_names_the_clause(text: str, reason: str) -> None:
    with pytest.raises(FieldError, match=reason):
        parse_rules(text)


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    try:
        rules = parse_rules(text)
    except FieldError:
        return
    assert parse_rules(str(rules)) == rules


@pytest.mark.parametrize(
    ("minute", "inside"),
    [(1229, False), (1230, True), (1439, True), (0, True), (389, True), (390, False), (720, False)],
)
def test_a_period_over_midnight(minute: int, *, inside: bool) -> None:
    assert Period(1230, 390).holds(minute) is inside
    assert Period(390, 1230).holds(minute) is not inside


def test_only_bonus_and_tonight_are_for_today() -> None:
    assert parse_rules("bonus 15; tonight last").only_today
    assert not parse_rules("bonus 15; then fade").only_today


def test_listening_has_three_of_the_clauses() -> None:
    text = "quiet 20:30-06:30; daily 20; bonus 5"
    assert parse_listening(text) == parse_rules(text)
    assert parse_listening("off") == Rules()
    for text in ("quiet 20:30-06:30; then finish", "then stop"):
        with pytest.raises(FieldError, match=r"^listening: .*expected off, or clauses such as"):
            parse_listening(text)
