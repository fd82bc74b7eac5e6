"""The cloud's doors refuse odd input in a bounded run, which comes through each of them; a door that fails is found."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tools import fuzz_cloud
from tools.fuzz_cloud import Doors

# `make fuzz CLOUD=1000000` is the long run.
INPUTS = 240
# Of the inputs of a door; a log-in that had ended once made all of them be refused unread.
TAKEN_SHARE = 0.1


async def test_no_odd_input_makes_a_door_fail() -> None:
    told: list[str] = []
    assert await fuzz_cloud.fuzz_cloud(INPUTS, 13, told.append) == 0, told
    assert len(told) == 3
    for line in told:
        inputs, taken = re.findall(r"([\d,]+) (?:inputs|taken)", line)
        assert int(taken) > TAKEN_SHARE * int(inputs), line


async def test_a_door_that_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_doors: Any, _chance: Any) -> str:
        raise ValueError("odd")

    async def good(_doors: Any, _chance: Any) -> str:
        return ""

    monkeypatch.setattr(Doors, "api", fail)
    monkeypatch.setattr(Doors, "console", good)
    monkeypatch.setattr(Doors, "gateway", good)
    told: list[str] = []
    assert await fuzz_cloud.fuzz_cloud(9, 13, told.append) == 4
    assert told[0] == "open API: ValueError: odd"
