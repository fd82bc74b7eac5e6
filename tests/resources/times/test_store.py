"""The three files: what is written is read again, and damage costs one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.clock import Known
from resources.times.day_book import Played
from resources.times.rules import Bonus, Kept, Night
from resources.times.store import PLAYED, RULES, TIMER, TimesStore
from resources.times.times import FILES
from wire.rules import Period, Tonight, parse_rules

KEPT = Kept(
    parse_rules("quiet 20:30-06:30, 12:00-14:00; daily 60; then finish"),
    Bonus(15, 739_946),
    Night(Period(1320, 420), 1_795_500_000.5, (Period(1230, 390),)),
)
SEEN = Known(1_795_500_000.5, 12.25, "boot")


@pytest.fixture
def store(tmp_path: Path) -> TimesStore:
    return TimesStore(tmp_path)


def test_nothing_is_stored_at_first(store: TimesStore, caplog: pytest.LogCaptureFixture) -> None:
    assert store.load_timer() == {}
    assert store.load_rules() == Kept()
    assert store.load_played() is None
    assert caplog.text == ""


@pytest.mark.parametrize(
    "kept",
    [Kept(), KEPT, Kept(KEPT.rules), Kept(night=Night(Tonight.LAST, 1.0)), Kept(bonus=Bonus(0, 1))],
)
def test_rules_are_read_again(store: TimesStore, kept: Kept) -> None:
    store.save_rules(kept)
    assert store.load_rules() == kept


def test_timer_and_minutes_are_read_again(store: TimesStore) -> None:
    timer = {"boot": "b", "until": 5.5, "stories": None}
    store.save_timer(timer)
    store.save_played(Played(739_946, 61.5, 1.0), SEEN, dated=True)
    assert store.load_timer() == timer
    assert store.load_played() == (Played(739_946, 61.5, 1.0), SEEN, True)


def test_no_timer_and_no_rules_leave_no_file(store: TimesStore, tmp_path: Path) -> None:
    store.save_rules(KEPT)
    store.save_timer({"boot": "b", "until": 5.5, "stories": None})
    for _ in range(2):
        store.save_rules(Kept())
        store.save_timer({})
        assert list(tmp_path.iterdir()) == []


def test_the_files_by_which_a_keeper_is_made_at_the_start() -> None:
    assert set(FILES) == {TIMER, RULES}


def test_damage_costs_one_file_and_one_line(
    store: TimesStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.save_rules(KEPT)
    store.save_played(Played(1, 2.0, 0.0), SEEN, dated=False)
    (tmp_path / PLAYED).write_bytes(b"\x00" * 100)
    assert store.load_played() is None
    assert store.load_rules() == KEPT
    assert len(caplog.records) == 1
    assert "played.json cannot be read, and counts as empty" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"rules": "daily 60", "bonus": {}, "night": 3},
        {"rules": "daily 9999", "bonus": {}, "night": {}},
        {"rules": "off", "bonus": {"minutes": 601, "day": 1}, "night": {}},
        {"rules": "off", "bonus": {}, "night": {"rule": "never", "until": 1}},
        {"rules": "off", "bonus": {}, "night": {"rule": "last", "until": "soon"}},
        {"rules": "off", "bonus": {}, "night": {"rule": "last; daily 3", "until": 1}},
        {"rules": "off", "bonus": {}, "night": {"rule": "last", "until": 9e11, "replaces": "off"}},
    ],
)
def test_rules_that_are_none_are_not_taken(
    store: TimesStore, tmp_path: Path, content: object, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / RULES).write_text(json.dumps(content))
    kept = store.load_rules()
    assert kept == Kept(damaged=kept.damaged)
    assert kept.damaged.startswith("rules.json: ")
    store.save_rules(kept)  # only an order takes its place
    assert (tmp_path / RULES).read_text() == json.dumps(content)
    assert "rules.json cannot be read" in caplog.text


def test_a_time_without_a_date_is_damage(
    store: TimesStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The year 10000 has no date: each look at the rules would fail, and end the agent."""
    store.save_played(Played(1, 2.0, 0.0), Known(2.6e11, 1.0, "b"), dated=True)
    assert store.load_played() is None
    assert "seconds: got" in caplog.text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
def test_any_bytes_are_survived(store: TimesStore, tmp_path: Path, content: bytes) -> None:
    for name in (TIMER, RULES, PLAYED):
        (tmp_path / name).write_bytes(content)
    assert store.load_timer() == {}
    assert store.load_rules().damaged
    assert store.load_played() is None
