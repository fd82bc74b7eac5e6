"""The list of devices (staging.console.devices)."""

from __future__ import annotations

from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page


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
