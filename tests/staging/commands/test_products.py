"""Products as commands."""

from __future__ import annotations

from tests.staging.commands.conftest import Command


def test_product_has_test_devices_and_no_data_points(command: Command) -> None:
    added = command("product", "add", "灯")
    assert (added["name"], added["devices"]) == ("灯", 20)
    (product,) = command("product", "list")["products"]
    assert (product["devices"], product["dataPoints"], product["appIds"]) == (20, 0, [])
    assert command("datapoint", "list", "--product", "灯")["dataPoints"] == []
    rows = [d for d in command("device", "list")["devices"] if d["product"] == "灯"]
    assert len({row["uuid"] for row in rows}) == 20
