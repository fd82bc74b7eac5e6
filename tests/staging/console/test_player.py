"""The player's card: what a device plays, live, and what its buttons order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.conftest import write_tone
from tests.staging.console.conftest import Stage
from tests.staging.console.page import PHONE, Page
from tests.staging.console.speaker import STORIES, SpeakerThread, playing
from tests.staging.console.test_access import violations
from tools.bench import Bench

PLAYER = "[data-point=player]"
ALBUM = ("一只青蛙", "两只老虎", "三只小猪")

MODE = "[data-point=play_mode] select"


def test_it_shows_what_plays_and_follows_it_live(shown: Page, speaker: SpeakerThread) -> None:
    shown.see(f"{PLAYER} [data-role=state]", "Playing")
    shown.see(f"{PLAYER} [data-role=length]", "5:00")
    shown.see("[data-part=player] [data-role=where]", "Title 2 of 5")
    # It runs on between two reports.
    shown.see(f"{PLAYER} [data-role=position]", "1:03")
    assert shown.get("[data-part=player] [aria-current]").text.split() == ["2.", STORIES[1]]
    speaker.change("player", playing("paused", 3, position=10.0))
    shown.see(".log [data-key=player]", f"Paused · {STORIES[3]}")
    shown.see(f"{PLAYER} [data-role=title]", STORIES[3])  # a title with < and > is text
    shown.see(f"{PLAYER} [data-role=state]", "Paused")
    shown.see(f"{PLAYER} [data-role=position]", "0:10")
    shown.get("[data-part=player] [data-command='继续']")
    assert not [e for e in shown.all("[data-command='暂停']") if e.is_displayed()]
    speaker.change("player", playing("waiting", 3, position=10.0))
    shown.see(f"{PLAYER} [data-role=why]", "no sound device")
    nothing = playing("idle", title="", queue=[], count=0, position=None, length=None, source="")
    speaker.change("player", nothing)
    shown.see(f"{PLAYER} [data-role=title]", "Nothing is playing")
    assert not shown.get(f"{PLAYER} input[type=range]").is_enabled()
    assert shown.errors() == []


@pytest.mark.parametrize(
    ("button", "order"),
    [
        ("[data-command='上一首']", ("play", "上一首")),
        ("[data-command='暂停']", ("play", "暂停")),
        ("[data-command='停止']", ("play", "停止")),
        ("[data-command='下一首']", ("play", "下一首")),
        ("[data-command='从头']", ("play", "从头")),
        ("[data-jump='4']", ("play", '{"jump":4}')),
        ("[data-timer='20']", ("sleep_timer", "20")),
        ("[data-timer='end']", ("sleep_timer", "end")),
        ("[data-timer='after 2']", ("sleep_timer", "after 2")),
        ("[data-timer='off']", ("sleep_timer", "off")),
    ],
)
def test_a_button_orders(
    shown: Page, speaker: SpeakerThread, button: str, order: tuple[str, str]
) -> None:
    shown.click(f"[data-part=player] {button}")
    speaker.ordered(shown, *order)


def test_the_position_is_moved_with_the_keyboard(shown: Page, speaker: SpeakerThread) -> None:
    speaker.change("player", playing("paused", position=100.0))
    shown.see(f"{PLAYER} [data-role=position]", "1:40")
    shown.get(f"{PLAYER} input[type=range]").send_keys(Keys.HOME)
    speaker.ordered(shown, "player", '{"position":0}')


def test_mode_and_timer_show_the_devices_value(shown: Page, speaker: SpeakerThread) -> None:
    Select(shown.get(MODE)).select_by_value("repeat-one")
    speaker.ordered(shown, "play_mode", "repeat-one")
    speaker.change("play_mode", "shuffle")
    shown.wait(lambda: shown.get(MODE).get_attribute("value") == "shuffle", "the mode")
    shown.type("[data-point=sleep_timer] input", "45", enter=True)
    speaker.ordered(shown, "sleep_timer", "45")
    shown.see("[data-point=sleep_timer] output", "45 min left")
    shown.type("[data-point=sleep_timer] input[type=time]", "0830PM", enter=True)
    speaker.ordered(shown, "sleep_timer", "at 20:30")
    shown.see("[data-point=sleep_timer] output", "Stops at 20:30")
    speaker.change("sleep_timer", "after 2")
    shown.see("[data-point=sleep_timer] output", "Stops after 2 more")


def test_a_value_of_another_grammar_gets_the_text_input(
    shown: Page, speaker: SpeakerThread
) -> None:
    for name, value in {
        "play_mode": "crossfade",
        "sleep_timer": "bis 8",
        "night": "dim",
        "rules": "alles erlaubt",
        "volume_limits": "90 dB",
        "player": "a tape of 1985",
    }.items():
        point = f"[data-point={name}]"
        speaker.change(name, value)
        shown.see(f"{point} output", value)
        shown.see(f"{point} h3", f"标签 {name}")
        shown.type(f"{point} input:not([type])", "something else", enter=True)
        speaker.ordered(shown, name, "something else")


def test_a_refused_change_says_why_and_shows_the_devices_value(
    shown: Page, speaker: SpeakerThread
) -> None:
    speaker.speaker.refused["play_mode"] = "play_mode: not while it rains"
    Select(shown.get(MODE)).select_by_value("shuffle")
    shown.see(
        "[data-point=play_mode] .answer", "The device said 4.00: play_mode: not while it rains"
    )
    shown.wait(lambda: shown.get(MODE).get_attribute("value") == "order", "the mode to go back")


def test_an_earlier_report_does_not_replace_what_was_read(
    inside: Page, speaker: SpeakerThread
) -> None:
    speaker.change("play_mode", "shuffle")
    speaker.speaker.values["play_mode"] = "repeat-all"  # changed by an order, which is not reported
    inside.open(f"/console/devices/{speaker.uuid}")
    inside.see(".log [data-key=play_mode]", "shuffle")
    inside.wait(lambda: inside.get(MODE).get_attribute("value") == "repeat-all", "the mode")


def test_a_page_that_is_looked_at_again_reads_again(shown: Page, speaker: SpeakerThread) -> None:
    speaker.speaker.values["player"] = playing("paused", position=200.0)  # not reported
    shown.js("document.dispatchEvent(new Event('visibilitychange'))")
    shown.see(f"{PLAYER} [data-role=position]", "3:20")


# What the chart says of itself; it is drawn anew at any moment.
_CHART = (
    "return document.querySelector('[data-series=volume] svg')?.getAttribute('aria-label') ?? null"
)


def test_reports_without_a_pause_do_not_starve_the_page(
    shown: Page, speaker: SpeakerThread
) -> None:
    speaker.change("volume", "7")
    shown.get("[data-series=volume] svg")
    drawn = shown.js(_CHART)
    numbers = itertools.count()

    def chart_moves() -> bool:
        number = next(numbers)
        speaker.change("player", playing(index=number % 2, position=float(number)))
        speaker.change("volume", str(number % 16))
        return shown.js(_CHART) not in {None, drawn}

    shown.wait(chart_moves, "the chart, while reports keep coming")
    speaker.change("player", playing(index=2))
    shown.see(f"{PLAYER} [data-role=title]", STORIES[2])
    assert shown.errors() == []


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(
    shown: Page, speaker: SpeakerThread, scheme: str, language: str
) -> None:
    shown.cdp(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    shown.js("localStorage.setItem('story-console-language', arguments[0])", language)
    shown.resize(PHONE)
    shown.open(f"/console/devices/{speaker.uuid}")
    shown.see(f"{PLAYER} [data-role=title]", STORIES[1])
    shown.get("[data-point=rules] input[name=daily]")
    assert violations(shown) == []
    assert shown.js("return document.documentElement.scrollWidth") <= PHONE[0]


@pytest.fixture(scope="module")
def sounding(
    stage: Stage, pulse_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A second agent on the cloud, with a sound server, mpv and an album of three titles."""
    bench = Bench(tmp_path_factory.mktemp("sounding"))
    bench.cloud_data, bench.api = stage.bench.cloud_data, stage.bench.api
    bench.flash_device()
    for number, title in enumerate(ALBUM, 1):
        write_tone(bench.state / "media" / "数数" / f"{number} {title}.wav", seconds=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULSE_SERVER", pulse_server)
        bench.start_agent()
    yield Stage(bench)
    bench.stop()


def told(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.agent("get", "player"))
    return found


def test_an_agent_that_plays_is_shown_and_led(inside: Page, sounding: Stage) -> None:
    page, title = inside, f"{PLAYER} [data-role=title]"
    page.open(f"/console/devices/{sounding.uuid}")
    page.type("input[name=token]", sounding.bind_token, enter=True)
    page.see(title, "Nothing is playing")
    page.type("[data-point=play] input", "数数", enter=True)
    page.see(title, ALBUM[0])
    page.see(f"{PLAYER} [data-role=state]", "Playing")
    page.see(f"{PLAYER} [data-role=length]", "2:00")
    page.see("[data-part=player] [data-role=where]", "Title 1 of 3")
    page.click("[data-command='下一首']")
    page.see(title, ALBUM[1])
    page.click("[data-jump='3']")
    page.see(title, ALBUM[2])
    page.see("[data-part=player] [aria-current]", ALBUM[2])
    page.click("[data-command='暂停']")
    page.see(f"{PLAYER} [data-role=state]", "Paused")
    page.js(
        """const bar = document.querySelector(arguments[0]);
        bar.value = 90;
        for (const type of ['input', 'change']) bar.dispatchEvent(new Event(type, {bubbles: true}));""",
        f"{PLAYER} input[type=range]",
    )
    page.wait(lambda: told(sounding)["position"] >= 89, "the agent's position")
    # mpv goes to a frame near the place that was asked for.
    position = f"{PLAYER} [data-role=position]"
    page.wait(lambda: page.text(position) in {"1:29", "1:30"}, "the position on the page")
    page.click("[data-command='从头']")
    page.wait(lambda: told(sounding)["position"] < 60, "the beginning")
    Select(page.get("[data-point=play_mode] select")).select_by_value("repeat-all")
    page.wait(lambda: sounding.agent("get", "play_mode") == "repeat-all", "the mode")
    sounding.agent("set", "play", "停止")  # on the machine
    page.see(title, "Nothing is playing")
    assert page.errors() == []
