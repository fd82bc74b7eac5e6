"""The console as a tester uses it: real Chromium, a real cloud, a real agent.

Tests staging.console.controls, staging.console.device, staging.console.devices,
staging.console.history, staging.console.strategies and staging.console.versions too.
"""

from __future__ import annotations

import json
import time

import pytest
from selenium.webdriver.common.keys import Keys

from tests.staging.console.conftest import Stage
from tests.staging.console.page import PASSWORD, USER, Page
from tools.processes import command


def test_a_wrong_password_is_said_and_the_right_one_opens_the_list(page: Page) -> None:
    page.log_in(USER, "not the password")
    page.see("[role=alert]", "Wrong name or password")
    assert page.get("input[name=password]").get_attribute("value") == ""
    page.log_in(USER, PASSWORD)
    page.see("main h1", "Devices")
    page.open("/console/products")
    page.see("main h1", "Products")  # the session is in the cookie, not in the address
    page.click("[data-role=logout]")
    page.get("input[name=user]")


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


def test_an_utterance_arrives_and_plays_in_the_page(device: Page, stage: Stage) -> None:
    stage.agent("say", "tools/utterance.wav")
    line = device.get("[data-utterance]")
    device.see("[data-utterance] .when", "3.5 s")
    assert len(line.find_elements("css selector", "svg rect")) == 120
    device.see(".log [data-key=voice_control]", "utterance")
    # Its samples, decoded by the browser, are loud; a range request gets a range.
    heard = device.browser.execute_async_script(
        """const done = arguments[0];
        (async () => {
          const list = await (await fetch(location.pathname.replace('/console/', '/console/api/') + '/utterances')).json();
          const u = list.utterances[0];
          const url = `${location.pathname.replace('/console/', '/console/api/')}/utterances/${u.start}-${u.id}.wav`;
          const part = await fetch(url, {headers: {Range: 'bytes=0-3'}});
          const bytes = await (await fetch(url)).arrayBuffer();
          const sound = await new OfflineAudioContext(1, 8000, 8000).decodeAudioData(bytes);
          const samples = sound.getChannelData(0);
          done({seconds: sound.duration, peak: samples.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
                status: part.status, head: new TextDecoder().decode(await part.arrayBuffer())});
        })();"""
    )
    assert abs(heard["seconds"] - 3.5) < 0.05
    assert heard["peak"] > 0.1
    assert (heard["status"], heard["head"]) == (206, "RIFF")
    device.click("[data-utterance] button")
    device.get("[data-utterance] button[aria-label^=Pause]")
    device.wait(lambda: device.all("[data-utterance] rect.done"), "the waveform to fill")
    device.click("[data-utterance] button")
    device.get("[data-utterance] button[aria-label^=Play]")
    assert device.errors() == []


def test_history_is_a_chart_and_the_same_as_a_table(device: Page, stage: Stage) -> None:
    for level in ("3", "7", "4"):
        stage.agent("set", "volume", level)
    card = "[data-series=volume]"
    device.see(f"{card} figure p", "latest 4")
    assert device.get(f"{card} svg").get_attribute("aria-label") == device.text(f"{card} figure p")
    device.click(f"{card} summary")
    cells = [cell.text for cell in device.all(f"{card} tbody td.num")]
    assert cells[:3] == ["4", "7", "3"]


def test_the_list_follows_the_device_without_reloading(inside: Page, stage: Stage) -> None:
    row = f"tr[data-uuid='{stage.uuid}']"
    inside.see(f"{row} [data-cell=presence]", "Online")
    inside.js("window.stayed = true")
    stage.agent("set", "volume", "11")
    inside.see(f"{row} [data-cell=volume]", "11")
    assert stage.bench.agent is not None
    stage.bench.agent.stop()
    inside.see(f"{row} [data-cell=presence]", "Offline")
    stage.bench.start_agent()
    inside.see(f"{row} [data-cell=presence]", "Online")
    # A change by another process appears too.
    other = stage.cloud("device", "add")
    inside.see(f"tr[data-uuid='{other['uuid']}'] [data-cell=presence]", "Never seen")
    assert inside.js("return window.stayed") is True
    inside.type("#search", other["uuid"])
    inside.wait(lambda: len(inside.all("tbody tr")) == 1)


@pytest.mark.timeout(150)  # two whole updates, each with its own deadline
def test_an_update_is_uploaded_verified_passed_published_ordered_and_ends_in_success(
    device: Page, stage: Stage
) -> None:
    page = device
    for version in ("1.1.0", "1.2.0"):
        file = stage.bench.folder / f"{version}.tar.gz"
        command("story-release", "build", "--version", version, "--output", file)
    _upload(page, stage, "1.1.0")
    page.type("[data-version='1.1.0'] input[name=uuid]", stage.uuid, enter=True)
    page.see("[data-version='1.1.0'] li .chip", "Success", seconds=45)
    page.click("[data-version='1.1.0'] [data-role=pass]")
    page.see("[data-version='1.1.0'] .card-head .chip", "Released")
    # The second version is released without the page, so that it can be ordered from the device's page.
    release = ("release", "add", stage.bench.folder / "1.2.0.tar.gz", "--version", "1.2.0")
    stage.cloud(*release)
    page.open("/console/strategies")
    page.type("input[name=from]", "1.1.0")
    page.click("main form button[type=submit]")
    page.see("tr[data-strategy] .chip", "Draft")
    page.click("tr[data-strategy] button")
    page.see("tr[data-strategy] .chip", "Published")
    page.open(f"/console/devices/{stage.uuid}")
    page.click("[data-role=order]")
    seen = _watch(page)
    assert seen[-1] == "SUCCESS"
    assert "RUNNING" in seen
    assert "event" in page.text("[data-part=update] .log")
    page.see("[data-fact=version]", "1.2.0")
    assert json.loads(stage.agent("status", "--json"))["version"] == "1.2.0"
    assert page.errors() == []


def _upload(page: Page, stage: Stage, version: str) -> None:
    page.open("/console/versions")
    page.type("input[name=version]", version)
    page.get("input[name=file]").send_keys(str(stage.bench.folder / f"{version}.tar.gz"))
    page.click("main form button[type=submit]")
    page.see(f"[data-version='{version}'] .chip", "Unverified")


def _watch(page: Page) -> list[str]:
    """Return the statuses that the page shows, up to the end of the update."""
    script = """
      const [end, done] = arguments, seen = [];
      const look = () => {
        const chip = document.querySelector('[data-part=update] [data-status]');
        const status = chip?.dataset.status, version = chip?.parentElement.textContent ?? '';
        if (status && version.includes('1.2.0') && seen.at(-1) !== status) seen.push(status);
        if (seen.at(-1) === 'SUCCESS' || seen.at(-1) === 'FAILED' || Date.now() > end) done(seen);
      };
      new MutationObserver(look).observe(document.querySelector('[data-part=update]'), {subtree: true, childList: true, attributes: true});
      setInterval(look, 100)"""
    page.browser.set_script_timeout(50)
    seen: list[str] = page.browser.execute_async_script(script, (time.time() + 45) * 1000)
    return seen
