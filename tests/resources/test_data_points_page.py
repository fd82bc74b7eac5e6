"""docs/data-points.md: one row for each data point, in the order of the self-description, with examples that are taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wire.story_points
from resources.loudness.limits import Limits, parse_limits
from resources.loudness.night import parse_night
from resources.playing.orders import parse_order, parse_position
from resources.playing.queue import PlayMode
from wire.datapoints import DataPointDescription, parse_value
from wire.rules import parse_listening, parse_rules
from wire.sleep import parse_timer

PAGE = Path(__file__).parents[2] / "docs" / "data-points.md"
POINTS = [
    value for value in vars(wire.story_points).values() if isinstance(value, DataPointDescription)
]
GRAMMARS = {
    "volume_limits": lambda text: parse_limits(text, Limits()),
    "night": parse_night,
    "rules": parse_rules,
    "listening": parse_listening,
    "sleep_timer": parse_timer,
    "play": parse_order,
    "player": parse_position,
    "play_mode": PlayMode,
}


def rows() -> dict[str, list[str]]:
    table = PAGE.read_text("utf-8").partition("points: begin -->")[2].partition("<!-- points")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.strip().splitlines()[2:]]
    return {row[0].strip(" `"): [cell.strip() for cell in row] for row in cells}


def test_each_data_point_has_a_row_and_no_row_is_of_none() -> None:
    assert sorted(rows()) == sorted(point.name for point in POINTS)
    assert list(rows())[:4] == ["play", "volume", "switch", "power"]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_a_row_says_what_the_description_says(point: DataPointDescription) -> None:
    row = rows()[point.name]
    assert row[1] == ", ".join(point.methods)
    assert row[2] == point.type.value


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_the_examples_are_taken(point: DataPointDescription) -> None:
    examples = re.findall(r"`([^`]+)`", rows()[point.name][4])
    assert examples
    for example in examples:
        value = parse_value(point, example)
        if point.name in GRAMMARS:
            GRAMMARS[point.name](str(value))
