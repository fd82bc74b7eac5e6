"""Cancelling an update in the page: a real browser, and an agent that downloads slowly."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.staging.console.conftest import Stage, offered
from tests.staging.console.page import Page

# The first of them waits for a separate cloud and agent to start, on a machine that may be busy.
pytestmark = pytest.mark.timeout(150)
PART = "[data-part=update]"
CANCEL = f"{PART} [data-role=cancel-update]"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cloud and an agent that would download for minutes; version 1.1.0 is offered."""
    config = "[ota]\nmax_bytes_per_second = 2048\n"
    with offered(tmp_path_factory.mktemp("cancel"), config) as made:
        yield made


def test_the_device_gives_it_up_and_it_can_be_ordered_again(device: Page, stage: Stage) -> None:
    page = device
    assert not [button for button in page.all(CANCEL) if button.is_displayed()]
    page.click("[data-role=order]")
    page.see(f"{PART} [data-status]", "Running")
    page.click(CANCEL)
    page.see("dialog[open]", "Cancel this update?")
    page.click("dialog button:not([data-role])")
    page.wait(lambda: not page.all("dialog"))
    page.see(f"{PART} [data-status]", "Running")
    page.click(CANCEL)
    page.click("dialog [data-role=confirm]")
    page.see(f"{PART} [role=alert]", "Failed: cancelled: by an order")
    page.wait(lambda: not page.get(PART).find_element("css selector", CANCEL).is_displayed())
    assert json.loads(stage.agent("update", "--json"))["failure"] == "cancelled: by an order"
    page.get("[data-role=order]")
    assert page.errors() == []


def test_the_task_of_a_device_that_is_away_ends_in_the_cloud(device: Page, stage: Stage) -> None:
    page, agent = device, stage.bench.agent
    assert agent is not None
    agent.stop()
    page.see("[data-fact=presence]", "Offline")
    page.click("[data-role=order]")
    page.see(f"{PART} [data-status]", "Created")
    page.js("localStorage.setItem('story-console-language', 'zh')")
    page.open(f"/console/devices/{stage.uuid}")
    page.see(CANCEL, "取消升级")
    page.click(CANCEL)
    page.see("dialog[open]", "取消这次升级")
    page.click("dialog [data-role=confirm]")
    page.see(f"{PART} [role=alert]", "cancelled: the device is offline")
    page.see("#status", "升级已取消")
    page.js("localStorage.setItem('story-console-language', 'en')")
    stage.bench.start_agent()
    # The page may have been reading data points when the agent stopped; those answers are 503.
    assert [error for error in page.errors() if "/control " not in error] == []


def test_only_the_owner_cancels_and_only_what_is_under_way(inside: Page, stage: Stage) -> None:
    path, headers = (
        f"/console/api/devices/{stage.uuid}/update/cancel",
        {"Content-Type": "application/json"},
    )
    status, text = inside.fetch("POST", path, headers, {})
    assert (status, json.loads(text)["error"]["code"]) == (403, "csrf")
    session = json.loads(inside.fetch("GET", "/console/api/session", headers)[1])
    headers["X-CSRF-Token"] = session["csrf"]
    status, text = inside.fetch("POST", path, headers, {})
    assert (status, json.loads(text)["error"]["code"]) == (409, "no_update")
    other = stage.cloud("device", "add")["uuid"]
    status, text = inside.fetch("POST", path.replace(stage.uuid, other), headers, {})
    assert (status, json.loads(text)["error"]["code"]) == (403, "1212")
