"""The data points of a product as commands."""

from __future__ import annotations

from typing import Any

import pytest

from staging.store.products import DATA_POINTS
from tests.staging.commands.conftest import Command

RESOURCES: Any = DATA_POINTS["resources"]


def test_data_points(command: Command, mistake: Command) -> None:
    command("product", "add", "p", "--devices", "0")
    here = ("--product", "p")
    added = command("datapoint", "template", "story-machine", *here)["dataPoints"]
    assert added == RESOURCES
    assert command("datapoint", "template", "voice", *here)["dataPoints"] == []
    words = ("--type", "int", "--range", "0:100:5", "--label", "亮度", "--read-only", "--voice")
    (light,) = command("datapoint", "add", "light", *words, *here)["dataPoints"]
    assert light["pattern"] == {"min": 0, "max": 100, "step": 5}
    assert (light["method"], light["resourceType"], light["uri"]) == (["GET"], "voice", "/light")
    assert "has one already" in mistake("datapoint", "add", "light", "--type", "int", *here)
    left = command("datapoint", "remove", "volume", *here)["dataPoints"]
    assert [point["name"] for point in left] == ["play", "switch", "power", "light"]
    assert "data point volume: the product has none" in mistake(
        "datapoint", "remove", "volume", *here
    )


@pytest.mark.parametrize("text", ["1", "a:b", "1:2:3:4", "5:1", "0:10:0"])
def test_range_that_is_none(mistake: Command, text: str) -> None:
    said = mistake("datapoint", "add", "x", "--type", "int", "--range", text)
    assert text in said or "pattern" in said
