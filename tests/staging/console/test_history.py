"""The charts of a device's data points (staging.console.history)."""

from __future__ import annotations

from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page


def test_history_is_a_chart_and_the_same_as_a_table(device: Page, stage: Stage) -> None:
    for level in ("3", "7", "4"):
        stage.agent("set", "volume", level)
    card = "[data-series=volume]"
    device.see(f"{card} figure p", "latest 4")
    assert device.get(f"{card} svg").get_attribute("aria-label") == device.text(f"{card} figure p")
    device.click(f"{card} summary")
    cells = [cell.text for cell in device.all(f"{card} tbody td.num")]
    assert cells[:3] == ["4", "7", "3"]
