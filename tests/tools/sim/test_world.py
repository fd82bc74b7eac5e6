"""How long a simulated world goes on once all faults are over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import staging.api.app
from tools.sim import world
from tools.sim.world import World


class Ending:
    """A world whose faults are over after a while, and whose update has its end so many seconds later."""

    def __init__(self, update_seconds: float) -> None:
        self.now = self.begin = 360.0
        self.update_seconds = update_seconds
        self.rested_at: list[float] = []
        told: Any = SimpleNamespace(
            note=lambda _text: None, _quiet=300.0, _look=self.look, _judge=lambda _faults: None,
            rollouts=SimpleNamespace(end_all=lambda: None), outcome=SimpleNamespace(fault=""),
            loop=SimpleNamespace(time=lambda: self.now), _is_updating=self.is_updating,
            observer=SimpleNamespace(waiting=0, ending=self.look), at_rest={"again": self.rest},
        )  # fmt: skip
        self.world: World = told

    def rest(self) -> None:
        self.rested_at.append(self.now)

    def is_updating(self) -> bool:
        return self.now < self.begin + self.update_seconds

    async def look(self) -> None:
        """See nothing."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def settle(monkeypatch: pytest.MonkeyPatch) -> Any:
    async def run(update_seconds: float) -> float:
        ending = Ending(update_seconds)
        for name in ("heal", "go_to_bed"):
            monkeypatch.setattr(world, name, lambda *_: None)
        monkeypatch.setattr(world, "end_faults", lambda _ending: [])
        monkeypatch.setattr(world, "asyncio", SimpleNamespace(sleep=ending.sleep))
        await World._settle(ending.world)
        assert ending.rested_at == [ending.begin]
        return ending.now - ending.begin

    return run


async def test_a_world_without_an_update_ends_after_the_time_it_is_given(settle: Any) -> None:
    assert await settle(0.0) == 300.0


async def test_an_update_that_was_told_to_wait_for_a_damaged_package_has_its_end(
    settle: Any,
) -> None:
    asked = float(staging.api.app._DAMAGED.headers["Retry-After"])
    assert await settle(asked + 200.0) >= asked + 200.0


async def test_an_update_that_never_ends_is_not_waited_for_without_an_end(settle: Any) -> None:
    assert await settle(1e9) == pytest.approx(900.0, abs=30.0)
