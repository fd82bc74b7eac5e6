"""The family's settings as forms, which write the device's own grammar (static/js/family.js)."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page
from tests.staging.console.speaker import SpeakerThread

LIMITS, NIGHT, RULES = (f"[data-point={name}]" for name in ("volume_limits", "night", "rules"))
SAVE = "button[type=submit]"


def holds(page: Page, css: str, value: str) -> None:
    """Wait until an input has the value."""
    page.wait(lambda: page.get(css).get_attribute("value") == value, f"{css}: {value}")


def kept(page: Page, stage: Stage, name: str, value: str) -> None:
    """Wait until the agent has the value."""
    page.wait(lambda: stage.agent("get", name) == value, f"{name} {value}")


def times(page: Page, css: str, *values: str) -> None:
    """Fill in the inputs of times, whose keys depend on the language of the browser."""
    page.js(
        """const [css, values] = arguments;
        [...document.querySelectorAll(css)].forEach((input, at) => {
          input.value = values[at];
          input.dispatchEvent(new Event('input', {bubbles: true}));
        })""",
        css,
        list(values),
    )


def test_the_limits_of_the_volume(shown: Page, speaker: SpeakerThread) -> None:
    holds(shown, f"{LIMITS} input[name=max]", "12")
    shown.type(f"{LIMITS} input[name=max]", "9")
    shown.type(f"{LIMITS} input[name=start]", "", enter=True)
    speaker.ordered(shown, "volume_limits", "max=9 min=0 start=last")
    shown.see(f"{LIMITS} .answer", "Done")
    speaker.change("volume_limits", "max=16 min=2 start=4")
    holds(shown, f"{LIMITS} input[name=min]", "2")
    holds(shown, f"{LIMITS} input[name=start]", "4")


def test_the_night(shown: Page, speaker: SpeakerThread) -> None:
    holds(shown, f"{NIGHT} input[name=max]", "5")
    times(shown, f"{NIGHT} input[type=time]", "20:15", "07:00")
    shown.click(f"{NIGHT} {SAVE}")
    speaker.ordered(shown, "night", "20:15-07:00 max=5")
    shown.click(f"{NIGHT} input[name=on]")
    shown.wait(lambda: not shown.get(NIGHT).find_element("name", "max").is_displayed())
    shown.click(f"{NIGHT} {SAVE}")
    speaker.ordered(shown, "night", "off")
    speaker.change("night", "21:30-06:00 max=3")
    holds(shown, f"{NIGHT} input[name=max]", "3")
    holds(shown, f"{NIGHT} input[name=from]", "21:30")


def test_the_rules(shown: Page, speaker: SpeakerThread) -> None:
    holds(shown, f"{RULES} input[name=daily]", "60")
    shown.click(f"{RULES} [data-role=add-quiet]")
    times(shown, f"{RULES} .period input", "19:45", "06:30", "12:30", "14:00")
    shown.type(f"{RULES} input[name=daily]", "90")
    shown.type(f"{RULES} input[name=bonus]", "15")
    Select(shown.get(f"{RULES} select[name=then]")).select_by_value("finish")
    Select(shown.get(f"{RULES} select[name=tonight]")).select_by_value("last")
    shown.click(f"{RULES} {SAVE}")
    value = "quiet 19:45-06:30, 12:30-14:00; daily 90; bonus 15; then finish; tonight last"
    speaker.ordered(shown, "rules", value)
    shown.see(f"{RULES} .answer", "Done")
    speaker.change("rules", "daily 30; tonight 22:00-07:00")
    holds(shown, f"{RULES} input[name=daily]", "30")
    holds(shown, f"{RULES} input[name=bonus]", "")
    holds(shown, f"{RULES} .period input", "22:00")
    speaker.change("rules", "off")
    holds(shown, f"{RULES} input[name=daily]", "")
    assert not [e for e in shown.all(f"{RULES} .period input") if e.is_displayed()]
    shown.click(f"{RULES} {SAVE}")
    speaker.ordered(shown, "rules", "off")


def test_a_bonus_is_given_with_one_press(shown: Page, speaker: SpeakerThread) -> None:
    holds(shown, f"{RULES} input[name=daily]", "60")
    speaker.change("rules", "daily 60; bonus 10")
    holds(shown, f"{RULES} input[name=bonus]", "10")
    shown.click(f"{RULES} [data-role=bonus]")
    speaker.ordered(shown, "rules", "bonus 25")
    speaker.change("rules", "quiet 20:30-06:30")
    holds(shown, f"{RULES} input[name=daily]", "")
    assert not shown.all(f"{RULES} [data-role=bonus]")[
        0
    ].is_displayed()  # there is nothing to add to


def test_quiet_hours_are_added_and_removed_by_keyboard(shown: Page, speaker: SpeakerThread) -> None:
    holds(shown, f"{RULES} input[name=daily]", "60")
    shown.get(f"{RULES} [data-role=add-quiet]").send_keys(Keys.ENTER)
    assert shown.focused()["label"] == "From"
    for _ in range(2):
        shown.get(f"{RULES} [data-role=add-quiet]").send_keys(Keys.ENTER)
    # The device keeps four.
    assert not shown.all(f"{RULES} [data-role=add-quiet]")[0].is_displayed()
    for _ in range(4):
        shown.get(f"{RULES} .period button").send_keys(Keys.ENTER)
        assert shown.focused()["data"]["role"] == "add-quiet"
    shown.get(f"{RULES} {SAVE}").send_keys(Keys.ENTER)
    speaker.ordered(shown, "rules", "daily 60")


def test_the_rules_of_listening(shown: Page, speaker: SpeakerThread) -> None:
    form = "[data-point=listening]"
    holds(shown, f"{form} input[name=daily]", "20")
    shown.click(f"{form} [data-role=add-quiet]")
    times(shown, f"{form} .period input", "19:45", "06:30")
    shown.type(f"{form} input[name=daily]", "30")
    shown.type(f"{form} input[name=bonus]", "5")
    shown.click(f"{form} {SAVE}")
    speaker.ordered(shown, "listening", "quiet 19:45-06:30; daily 30; bonus 5")
    speaker.change("listening", "off")
    holds(shown, f"{form} input[name=daily]", "")
    shown.click(f"{form} {SAVE}")
    speaker.ordered(shown, "listening", "off")


def test_the_child_lock_is_a_switch(shown: Page, speaker: SpeakerThread) -> None:
    shown.see("[data-point=child_lock] output", "Off")
    shown.click("[data-point=child_lock] input")
    speaker.ordered(shown, "child_lock", "true")
    shown.see("[data-point=child_lock] output", "On")
    speaker.change("child_lock", "false")
    shown.see("[data-point=child_lock] output", "Off")


def test_what_is_refused_is_told_and_the_devices_value_comes_back(
    shown: Page, speaker: SpeakerThread
) -> None:
    holds(shown, f"{LIMITS} input[name=max]", "12")
    speaker.speaker.refused["volume_limits"] = "volume_limits: got min > max"
    shown.type(f"{LIMITS} input[name=min]", "14", enter=True)
    shown.see(f"{LIMITS} .answer", "The device said 4.00: volume_limits: got min > max")
    holds(shown, f"{LIMITS} input[name=min]", "0")
    speaker.change("volume_limits", "max=12 min=1 start=6")
    holds(shown, f"{LIMITS} input[name=min]", "1")
    assert "4.00" in shown.text(f"{LIMITS} .answer")  # a report does not take it away


def test_a_report_does_not_overwrite_what_is_being_typed(
    shown: Page, speaker: SpeakerThread
) -> None:
    holds(shown, f"{LIMITS} input[name=max]", "12")
    shown.type(f"{LIMITS} input[name=max]", "8")
    speaker.change("volume_limits", "max=10 min=0 start=6")
    shown.see(".log [data-key=volume_limits]", "max=10")
    assert shown.get(f"{LIMITS} input[name=max]").get_attribute("value") == "8"
    shown.click("[data-part=controls] .card-head button")  # "Read again" forgets what was typed
    holds(shown, f"{LIMITS} input[name=max]", "10")


def test_an_agent_keeps_what_the_forms_write(device: Page, stage: Stage) -> None:
    wanted = {
        "volume_limits": "max=13 min=0 start=4",
        "night": "21:00-06:30 max=5",
        "rules": "daily 90",
        "sleep_timer": "20",
        "child_lock": "true",
    }
    before = {name: stage.agent("get", name) for name in wanted}
    holds(device, f"{LIMITS} input[name=max]", "16")
    device.type(f"{LIMITS} input[name=max]", "13")
    device.type(f"{LIMITS} input[name=start]", "4", enter=True)
    device.click(f"{NIGHT} input[name=on]")
    device.click(f"{NIGHT} {SAVE}")
    device.type(f"{RULES} input[name=daily]", "90", enter=True)
    device.click("[data-point=sleep_timer] [data-timer='20']")
    device.click("[data-point=child_lock] input")
    try:
        for name, value in wanted.items():
            kept(device, stage, name, value)
    finally:
        # The lock refuses what comes from the machine itself; the console takes it off.
        if device.get("[data-point=child_lock] input").is_selected():
            device.click("[data-point=child_lock] input")
        kept(device, stage, "child_lock", "false")
        for name, value in before.items():
            stage.agent("set", name, value)
