"""How loud the simulation lets a machine be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from resources.loudness.steps import level_of
from tools.sim.night_limit import loudest, step_at

# The world begins at 06:00.
HOUR = 3600.0


@pytest.mark.parametrize(
    ("night", "minute", "step"),
    [
        ("21:00-06:30 max=5", 21 * 60, 5),
        ("21:00-06:30 max=5", 6 * 60 + 29, 5),
        ("21:00-06:30 max=5", 6 * 60 + 30, None),
        ("21:00-06:30 max=5", 20 * 60 + 59, None),
        ("12:00-12:30 max=0", 12 * 60 + 15, 0),
        ("12:00-12:30 max=0", 12 * 60 + 30, None),
        ("off", 0, None),
    ],
)
def test_a_night_has_its_hours(night: str, minute: int, step: int | None) -> None:
    assert step_at(night, minute) == step


def machine(wall_offset: float = 0.0, damaged: str = "") -> Any:
    clock = SimpleNamespace(from_cloud=False)
    return SimpleNamespace(
        agent=SimpleNamespace(_clock=clock),
        wall_offset=wall_offset,
        damaged={damaged} if damaged else set(),
    )


@pytest.mark.parametrize(
    ("kept", "at", "step"),
    [
        ({}, 0.0, None),
        ({"volume_limits": "max=12 min=0 start=last"}, 0.0, 12),
        ({"volume_limits": "max=12 min=0 start=last", "night": "06:10-07:00 max=4"}, 0.0, 12),
        ({"volume_limits": "max=12 min=0 start=last", "night": "06:10-07:00 max=4"}, 600.0, 4),
        ({"volume_limits": "max=3 min=0 start=last", "night": "06:10-07:00 max=4"}, 600.0, 3),
        ({"night": "06:10-07:00 max=4"}, HOUR, None),
    ],
)
def test_the_lower_limit_holds(kept: dict[str, str], at: float, step: int | None) -> None:
    promises: Any = SimpleNamespace(kept=kept)
    assert loudest(machine(), promises, at) == (None if step is None else level_of(step))
    assert loudest(machine(damaged="/loudness.json"), promises, at) is None


def test_a_night_is_not_judged_by_a_machine_that_cannot_know_the_time() -> None:
    promises: Any = SimpleNamespace(kept={"night": "06:00-07:00 max=4"})
    assert loudest(machine(), promises, 60.0) == level_of(4)
    assert loudest(machine(wall_offset=-9e5), promises, 60.0) is None
