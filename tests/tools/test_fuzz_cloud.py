"""The cloud's doors refuse odd input in a bounded run; a door that fails is found."""

from __future__ import annotations

from typing import Any

import pytest

from tools import fuzz_cloud
from tools.fuzz_cloud import Stage

# `make fuzz CLOUD=1000000` is the long run.
INPUTS = 240


async def test_no_odd_input_makes_a_door_fail() -> None:
    told: list[str] = []
    assert await fuzz_cloud.fuzz_cloud(INPUTS, 13, told.append) == 0, told


async def test_a_door_that_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_stage: Any, _chance: Any) -> str:
        raise ValueError("odd")

    async def good(_stage: Any, _chance: Any) -> str:
        return ""

    monkeypatch.setattr(Stage, "ask_api", fail)
    monkeypatch.setattr(Stage, "ask_console", good)
    monkeypatch.setattr(Stage, "ask_gateway", good)
    told: list[str] = []
    assert await fuzz_cloud.fuzz_cloud(9, 13, told.append) == 4
    assert told[0] == "open API: ValueError: odd"
