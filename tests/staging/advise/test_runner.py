"""How long a run waits for a device and for a case, on a moved clock; the cases are the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from staging.advise import catalogue
from staging.advise.bench import AbsentError
from staging.advise.cases.model import Case
from staging.advise.lab import Lab
from staging.advise.record import Known, Trace
from staging.advise.runner import Runner
from tests.moved_clock import Since
from tests.staging.advise import virtual
from tests.staging.advise.twin_points import TOKEN, UUID


class StandInLab:
    """A device that is there at once, until it is absent."""

    restless = False
    known = Known(UUID, TOKEN)

    def __init__(self, *, comes_back: bool = False) -> None:
        self.waited: list[float] = []
        self.hands: list[str] = []
        self.bench = self
        self._comes_back = comes_back

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def begin(self, _name: str = "") -> Trace:
        return Trace()

    async def peer(self, within: float) -> None:
        self.waited.append(within)

    async def calm(self) -> None:
        """It waits for nothing."""

    async def drop(self) -> None:
        """It has no connection."""

    async def hand(self, verb: str) -> bool:
        self.hands.append(verb)
        return self._comes_back


async def endless(_lab: object) -> None:
    await asyncio.Event().wait()


async def absent(_lab: object) -> None:
    raise AbsentError("no connection within 75 s")


def lasting(seconds: float) -> Any:
    async def run(_lab: object) -> None:
        await asyncio.sleep(seconds)

    return run


def ran(
    monkeypatch: pytest.MonkeyPatch, lab: StandInLab, limit: float, scripts: Sequence[Any]
) -> tuple[list[str], float]:
    """Run cases with these scripts; return why each was not run to its end, and how long all took."""
    cases = [
        Case(str(n), script, "does something", limit=300.0) for n, script in enumerate(scripts)
    ]
    monkeypatch.setattr(catalogue, "cases_of", lambda _checks: cases)

    async def run() -> tuple[list[str], float]:
        since, given = Since(), Runner(lab, (), limit=limit)  # type: ignore[arg-type]
        outcome = await given.run()
        return [outcome.runs[case.name].trace.skipped for case in cases], since.seconds

    return virtual.run(run())


@pytest.mark.parametrize(
    ("left", "told"),
    [(2.0, "broken off after 2 s"), (1.9, "no time is left of 100 s")],
)
def test_a_case_is_begun_with_two_seconds_left_and_not_with_less(
    monkeypatch: pytest.MonkeyPatch, left: float, told: str
) -> None:
    skipped, seconds = ran(monkeypatch, StandInLab(), 100.0, [lasting(100 - left), endless])
    assert skipped == ["", told]
    assert seconds == pytest.approx(100.0 if left >= 2 else 98.1)


def test_a_case_is_broken_off_after_its_own_time_though_the_run_has_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = StandInLab()
    skipped, seconds = ran(monkeypatch, lab, 1000.0, [endless, lasting(1)])
    assert (skipped, seconds) == (["broken off after 300 s", ""], 301.0)
    assert lab.waited == [90.0]  # at the beginning: longer than a device of ours may wait


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_device_that_was_absent_twice_is_waited_for_no_more_unless_somebody_restarts_it(
    monkeypatch: pytest.MonkeyPatch, *, comes_back: bool
) -> None:
    lab = StandInLab(comes_back=comes_back)
    skipped, _ = ran(monkeypatch, lab, 1000.0, [absent, lasting(1), absent, absent, lasting(1)])
    away = "the device did not come: no connection within 75 s"
    assert skipped == [
        away,
        "",
        away,
        away,
        "" if comes_back else "the device does not come any more",
    ]
    assert lab.hands == ["restart"]


@pytest.mark.parametrize(
    ("waited", "lived", "left"),
    [(7.9, 5.0, None), (8.0, 5.0, 27.0), (60.0, 31.0, 1.0), (8.0, 32.0, 0.0)],
)
async def test_a_device_whose_wait_has_grown_to_8_s_is_left_alone_until_it_was_there_for_32_s(
    waited: float, lived: float, left: float | None
) -> None:
    """Ours forgets its waits after half a minute."""
    asked: list[float] = []

    async def wait_ended(seconds: float) -> None:
        asked.append(seconds)

    bench: Any = SimpleNamespace(now=lambda: 1000.0)
    lab = Lab(bench, Known(UUID, TOKEN))
    line = SimpleNamespace(seen=SimpleNamespace(opened=1000.0 - lived))
    peer: Any = SimpleNamespace(ended=asyncio.Event(), line=line, wait_ended=wait_ended)
    lab._peer, lab._patience = peer, waited
    assert lab.restless == (left is not None and left > 0)
    await lab.calm()
    assert asked == ([] if left is None else [left])
    await lab.calm()  # once
    assert len(asked) <= 1
