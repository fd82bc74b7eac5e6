"""Each data point takes what docs/data-points.md gives as the least and the most, and refuses the next value on each side."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from machine.mixers import StandInMixer
from tests.agent.test_points import Whole, built
from tests.resources.parts import level_on
from wire.exchange import Request


@dataclass(frozen=True)
class Row:
    """A data point, its value's text for a number, and the least and the most of that."""

    point: str
    text: Callable[[int], str]
    low: int
    high: int
    says: str
    """What is in the answer to a value outside."""


def quiet(count: int) -> str:
    return "quiet " + ", ".join(f"{hour:02}:00-{hour:02}:30" for hour in range(count))


ROWS = [
    Row("volume", str, 0, 16, "an integer from 0 to 16"),
    Row("volume_limits", lambda step: f"max={step}", 1, 16, "max=1..16"),
    Row("volume_limits", lambda step: f"min={step} max=16 start=last", 0, 16, "min=0..16"),
    Row("volume_limits", lambda step: f"start={step} min=0 max=16", 0, 16, "start=0..16"),
    Row("night", lambda step: f"21:00-06:30 max={step}", 0, 16, "max=0..16"),
    Row("night", lambda hour: f"12:00-{hour:02}:00 max=5", 0, 24, "HH:MM-HH:MM"),
    Row("night", lambda hour: f"{hour:02}:00-12:30 max=5", 0, 24, "HH:MM-HH:MM"),
    Row("night", lambda minute: f"21:{minute:02}-12:00 max=5", 0, 59, "HH:MM-HH:MM"),
    Row("sleep_timer", str, 1, 600, "minutes from 1 to 600"),
    Row("sleep_timer", lambda count: f"after {count}", 1, 99, "N from 1 to 99"),
    Row("sleep_timer", lambda hour: f"at {hour:02}:00", 0, 24, "at HH:MM"),
    Row("sleep_timer", lambda minute: f"at 20:{minute:02}", 0, 59, "at HH:MM"),
    Row("rules", quiet, 1, 4, "quiet"),
    Row("rules", lambda count: f"daily {count}", 0, 1440, "minutes from 0 to 1440"),
    Row("rules", lambda count: f"bonus {count}", 0, 600, "minutes from 0 to 600"),
    Row("rules", lambda hour: f"tonight {hour:02}:00-12:30", 0, 24, "tonight"),
    Row("rules", lambda minute: f"quiet 20:{minute:02}-12:30", 0, 59, "quiet"),
    Row("listening", quiet, 1, 4, "quiet"),
    Row("listening", lambda count: f"daily {count}", 0, 1440, "minutes from 0 to 1440"),
    Row("listening", lambda count: f"bonus {count}", 0, 600, "minutes from 0 to 600"),
    Row("play", lambda count: json.dumps(["a"] * count), 1, 200, "1 to 200 names"),
    Row("play", lambda count: json.dumps({"next": ["a"] * count}), 1, 200, "1 to 200 names"),
    Row("play", lambda number: json.dumps({"jump": number}), 1, 1_000_000, "from 1 to 1000000"),
    Row("play", lambda at: json.dumps({"position": at}), 0, 1_000_000, "from 0 to 1000000"),
    Row("player", lambda at: json.dumps({"position": at}), 0, 1_000_000, "from 0 to 1000000"),
    Row("play", "x".__mul__, 1, 4096, "1 to 4096 bytes"),
    *(
        Row(point, "x".__mul__, 1, 1024, "1 to 1024 bytes")
        for point in ("play_mode", "sleep_timer", "volume_limits", "night", "rules", "listening", "player")
    ),
]  # fmt: skip


async def is_refused(whole: Whole, row: Row, number: int) -> bool:
    """Return whether a value is refused for its size; others are, because nothing plays."""
    asked = Request("PUT", (row.point,), payload=row.text(number).encode())
    answer = await whole.dispatch.handle(asked, local=False)
    return row.says in answer.text


async def test_what_is_on_a_limit_is_taken_and_the_next_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The volume of the machine that runs the tests stays as it is.
    monkeypatch.setattr("agent.points.KeptLevel", lambda: level_on(StandInMixer()))
    found = []
    async with built(tmp_path / "state") as whole:
        for row in ROWS:
            tried = (row.low - 1, row.low, row.high, row.high + 1)
            found.append(
                (row.point, row.text(row.low), [await is_refused(whole, row, n) for n in tried])
            )
    assert len(found) > 30
    assert [each for each in found if each[2] != [True, False, False, True]] == []
