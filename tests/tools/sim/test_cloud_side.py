"""What happens on the simulated cloud's side: an update that is ordered while a machine takes no more requests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from tools.sim.cloud_side import HAPPENINGS
from tools.sim.repository import VERSIONS


class Recorder:
    """A world whose cloud notes what is asked of it."""

    def __init__(self) -> None:
        self.works: list[Coroutine[Any, Any, None]] = []
        self.asked: list[str] = []
        self.later_works: list[Callable[[], None]] = []
        self.at_rest: dict[str, Callable[[], None]] = {}
        self.machine = SimpleNamespace(name="a")
        self.cloud = SimpleNamespace(gateway=self, run=self.works.append, order=self._order)

    async def control(self, _uuid: str, name: str, method: str, value: str | None) -> None:
        assert value is None
        self.asked.append(f"{method} {name}")

    async def _order(self, uuid: str, version: str) -> None:
        self.asked.append(f"{version} for {uuid}")

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        assert seconds > 0
        self.later_works.append(work)


async def done(world: Recorder) -> list[str]:
    works, world.works[:] = list(world.works), []
    for work in works:
        await work
    asked, world.asked = world.asked, []
    return asked


async def test_an_update_is_ordered_behind_as_many_requests_as_may_wait_also_at_rest() -> None:
    recorder = Recorder()
    world: Any = recorder
    HAPPENINGS["order among many"](world, 0.0)
    assert await done(recorder) == ["GET volume"] * 16 + [f"{VERSIONS[0]} for a"]
    (begin,) = recorder.at_rest.values()
    begin()
    (again,) = recorder.later_works
    again()
    asked = await done(recorder)
    assert asked[:16] == ["GET volume"] * 16
    assert asked[16] in {f"{version} for a" for version in VERSIONS}
