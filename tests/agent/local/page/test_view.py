"""What the page shows of a status and the data points' answers, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.local.page import texts
from agent.local.page.view import READ, Read, build, explain_answer, timer_text
from agent.status_text import headline
from agent.words import EN, ZH, say
from tests.agent.local.page.machine import VALUES, away

POINTS = {name: Read(ok=True, text=str(VALUES[name]).replace("True", "true").replace("False", "false")) for name in READ}  # fmt: skip


def shown(language: str = EN, points: Mapping[str, str | None] | None = None, **status: Any) -> Any:
    """Build the page; None for a point: it has no value now."""
    changed = {
        name: Read(text is not None, text if text is not None else f"{name}: no result in 8 s")
        for name, text in (points or {}).items()
    }
    return build(away(**status), {**POINTS, **changed}, language)


@pytest.mark.parametrize(
    ("value", "zh", "en"),
    [
        ("off", "没有定时", "no timer"),
        ("20", "20 分钟后停", "it stops in 20 min"),
        ("end", "这一集完了停", "it stops after this story"),
        ("after 2", "再听 2 集就停", "it stops after 2 stories"),
        ("at 20:30", "到 20:30 停", "it stops at 20:30"),
        ("at 12:30 or 20:30", "到 12:30 / 20:30 停", "it stops at 12:30 / 20:30"),
        ("what a later version says", "what a later version says", "what a later version says"),
    ],
)
def test_the_timer(value: str, zh: str, en: str) -> None:
    assert (timer_text(value, ZH), timer_text(value, EN)) == (zh, en)


@pytest.mark.parametrize(
    ("points", "gauge", "told", "percent"),
    [
        ({}, "bq27411", "80 %", 80),
        ({"charging": "true"}, "bq27411", "80 %, external power is on", 80),
        ({"charging": None}, "bq27411", "80 %", 80),
        ({"power": None}, "bq27411", "power: no result in 8 s", None),
        ({"power": "100"}, "no battery found: power is answered as 100 (mains)", "on mains, without a battery", None),
    ],
)  # fmt: skip
def test_the_battery(points: Any, gauge: str, told: str, percent: int | None) -> None:
    assert shown(points=points, resources={"power": gauge})["battery"] == {"percent": percent, "text": told}  # fmt: skip


@pytest.mark.parametrize(
    ("points", "volume"),
    [
        ({}, {"value": 6, "min": 1, "max": 12, "text": ""}),
        ({"volume_limits": None}, {"value": 6, "min": 0, "max": 16, "text": ""}),
        ({"volume_limits": "max=9"}, {"value": 6, "min": 0, "max": 9, "text": ""}),
        ({"volume": None}, {"value": None, "min": 1, "max": 12, "text": "volume: no result in 8 s"}),
    ],
)  # fmt: skip
def test_the_loudness_and_its_limits(points: Any, volume: dict[str, Any]) -> None:
    assert shown(points=points)["volume"] == volume


@pytest.mark.parametrize(
    ("point", "state", "told"),
    [("true", "idle", "idle"), ("true", "listening", "other"), ("false", "muted", "muted")],
)
def test_the_microphone(point: str, state: str, told: str) -> None:
    found = shown(points={"microphone": point}, listening={"state": state})["microphone"]
    assert found == {"on": point == "true", "text": texts.LISTENING[told].en}


@pytest.mark.parametrize(
    ("state", "more", "told"),
    [
        (None, {}, "there was no update yet"),
        ("RUNNING", {"percent": 0.421}, "it updates to 1.3.0"),
        ("FAILED", {"failure": "Connection refused"}, "the last update to 1.3.0 failed: nothing listens at this port (connection refused)"),
        ("SUCCESS", {}, "the last update succeeded"),
        ("INSTALLED", {"onTrial": True}, "the new version 1.2.0 is on trial"),
    ],
)  # fmt: skip
def test_the_update(state: str | None, more: dict[str, Any], told: str) -> None:
    update = {"running": "1.2.0", "version": "1.3.0", "state": state, **more}
    found = shown(update=update)["update"]
    assert found["text"] == told
    assert found["percent"] == (42 if "percent" in more else None)


def test_the_link_has_the_words_of_status() -> None:
    link = shown()["link"]
    assert f"{link['text']}: {link['cause']}\n    → {link['remedy']}" == headline(away())
    assert link["online"] is False


def test_a_cloud_that_is_away_is_said_plainly_and_one_that_is_there_is_not() -> None:
    told = shown(ZH)["away"]
    assert told["title"] == "云不在：这台机器照常用"
    assert told["waits"][-1] == "300 条报告等着发给云；太旧的 12 条已经丢弃"
    assert shown(outbox={"waiting": 0, "dropped": 0})["away"]["waits"] == [say(w) for w in texts.WAITS]  # fmt: skip
    assert shown(link={"server": "c:1", "state": "online"})["away"] is None


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        ('play: got "月亮", expected one of 3 titles, a folder of them, an http(s) URL; titles are files',
         '3 个故事里没有 "月亮"', 'none of the 3 titles is called "月亮"'),
        ("play: today's 60 minutes are over", "play：今天的 60 分钟已经听完", "play: today's 60 minutes are over"),
        ('sleep_timer: nothing is playing, so there is no "end"', "sleep_timer：没有在播放，所以没有“播完”",
         'sleep_timer: nothing is playing, so there is no "end"'),
    ],
)  # fmt: skip
def test_why_something_was_refused(text: str, zh: str, en: str) -> None:
    assert (explain_answer(text, ZH), explain_answer(text, EN)) == (zh, en)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(sorted(away())), _JSON, max_size=4),
    st.dictionaries(st.sampled_from(READ), st.none() | st.text(max_size=20), max_size=4),
)
def test_whatever_a_part_tells_the_page_is_made(status: dict[str, Any], points: dict[str, Any]) -> None:  # fmt: skip
    assert shown(points=points, **status)["language"] == EN
