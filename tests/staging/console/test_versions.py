"""A version's way from the upload over the strategy to the update.

The pages are staging.console.versions, staging.console.strategies and staging.console.device.
"""

from __future__ import annotations

import json
import time

import pytest

from tests.staging.console.conftest import Stage
from tests.staging.console.page import WIDE, Page
from tests.staging.console.test_access import violations
from tools.processes import command


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
    page.type("textarea[name=phases]", "50%, 100%")
    page.click("main form button[type=submit]")
    page.see("tr[data-strategy] .chip", "Draft")
    page.click("tr[data-strategy] button")
    page.see("dialog [data-part=preview]", "It covers 1 devices now")
    page.click("dialog [data-role=confirm]")
    page.see("tr[data-strategy] .chip", "Published")
    # Who works without a mouse stays where the button was.
    page.wait(lambda: page.focused()["text"] == "Withdraw", "focus")
    page.click("tr[data-strategy] a")
    page.see("[data-state]", "Published")
    page.see("[data-part=progress] tbody tr:last-child [data-count=covered]", "1")
    _everybody_can_read_the_rollout(page)
    page.open(f"/console/devices/{stage.uuid}")
    page.click("[data-role=order]")
    seen = _watch(page)
    assert seen[-1] == "SUCCESS"
    assert "RUNNING" in seen
    assert "Installed and confirmed" in page.text("[data-part=update] .log")
    page.see("[data-fact=version]", "1.2.0")
    assert json.loads(stage.agent("status", "--json"))["version"] == "1.2.0"
    assert page.errors() == []


def _everybody_can_read_the_rollout(page: Page) -> None:
    page.see("[data-part=phases] [aria-current=step]", "50%")
    page.click("main details summary")  # the settings, which are hidden at first
    light = {"name": "prefers-color-scheme", "value": "light"}
    page.cdp("Emulation.setEmulatedMedia", features=[light])
    page.resize((320, 780))
    assert page.js("return document.documentElement.scrollWidth") <= 320
    assert violations(page) == []
    page.resize(WIDE)


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
