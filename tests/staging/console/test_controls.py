"""The controls of a device move the agent and follow it (staging.console.controls)."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys

from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page
from wire.support import SUPPORT_END


def test_device_is_bound_and_its_slider_moves_the_agent(device: Page, stage: Stage) -> None:
    before = int(stage.agent("get", "volume"))
    device.see("[data-point=volume] output", str(before))
    wanted = before - 3 if before > 8 else before + 3
    slider = device.get("[data-point=volume] input")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0", "16")
    slider.send_keys(*[Keys.ARROW_RIGHT if wanted > before else Keys.ARROW_LEFT] * 3)
    device.wait(lambda: stage.agent("get", "volume") == str(wanted), "the agent's volume")
    device.see("[data-point=volume] .answer", "Done")
    # In the other direction, a change on the machine moves the slider without reloading.
    stage.agent("set", "volume", "5")
    device.see("[data-point=volume] output", "5")
    device.see("[data-fact=volume]", "5")
    device.see("[data-fact=supportEnd]", SUPPORT_END)
    device.see(".log [data-key=volume]", "5")
    assert device.errors() == []


def test_what_the_device_refuses_is_shown_as_it_said_it(device: Page) -> None:
    device.type("[data-point=play] input", "no such song", enter=True)
    device.see("[data-point=play] .answer", "The device said 4.0")
    assert "no such song" in device.text("[data-point=play] .answer")


def test_power_off_asks_first(device: Page, stage: Stage) -> None:
    device.click("[data-role=power-off]")
    device.see("dialog[open]", "Power the device off?")
    device.keys(Keys.ESCAPE)
    device.wait(lambda: not device.all("dialog"))
    device.click("[data-role=power-off]")
    device.click("dialog [data-role=confirm]")
    device.see("[data-point=switch] .answer", "Done")
    assert "switch" in stage.agent("status")
