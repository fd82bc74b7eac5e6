"""Runs that the console begins: followed line by line, one for each device, cancelled, and ended with the cloud.

The command is a short program here; tests/staging/console/test_advice.py has the real one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from staging.advise import desk as desk_module
from staging.advise.desk import Desk, Run
from staging.errors import StagingError
from tests.moved_clock import Since, on_moved_clock
from tests.waiting import until

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
RUNNING_LIMIT = 4

ONE = "0000000000000a"
SAYS = {"zh": "帧", "en": "frames"}
RESULT = {"id": "frames.split", "title": SAYS, "verdict": "pass", "seen": SAYS}
BEGINS = {"case": "frames", "says": SAYS, "number": 1, "total": 2}
ENDS = BEGINS | {"results": [RESULT]}


def program(tell: list[object], printed: object, then: str = "pass") -> list[str]:
    """Return a command that tells lines, prints its result, and does something more before it ends."""
    lines = "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in tell)
    text = "" if printed is None else json.dumps(printed)
    code = f"import sys, time; sys.stderr.write({lines!r}); {then}; print({text!r})"
    return [sys.executable, "-S", "-c", code]


STAYS = program([BEGINS], None, "time.sleep(600)")
Make = Callable[[list[str]], Desk]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Desk] = []

    def desk(command: list[str]) -> Desk:
        made.append(Desk(tmp_path, "sqlite://", lambda: 1000, command=command))
        return made[-1]

    yield desk
    for each in made:
        await each.close()


async def ended(run: Run) -> Run:
    await until(lambda: run.ended)
    return run


async def test_what_a_run_tells_is_followed(make: Make) -> None:
    done = program([BEGINS, ENDS], {"report": "/data/advise/0000000000000a-1790000000000"}, "pass")
    desk = make(done)
    run = await ended(await desk.begin(ONE, "frames", 7, "ada"))
    assert desk.find(ONE) is run
    assert run.to_json() == {
        "suite": "frames", "who": "ada", "startedMs": 1000, "ended": True, "cancelled": False, "says": SAYS,
        "number": 1, "total": 2, "results": [RESULT], "report": 1790000000000, "problem": "",
    }  # fmt: skip


async def test_why_there_is_no_report_is_told(make: Make) -> None:
    told = program([BEGINS, "story-cloud: device x is offline"], None, "sys.exit(1)")
    run = await ended(await make(told).begin(ONE, "quick", None, "ada"))
    assert (run.problem, run.report) == ("device x is offline", 0)
    silent = await ended(await make(program([], None, "sys.exit(1)")).begin(ONE, "q", None, "ada"))
    assert silent.problem == "it ended without a report"


async def test_a_device_has_one_run_and_all_have_few(make: Make) -> None:
    desk = make(STAYS)
    run = await desk.begin(ONE, "quick", None, "ada")
    with pytest.raises(StagingError, match="a run is under way"):
        await desk.begin(ONE, "quick", None, "ben")
    for number in range(1, RUNNING_LIMIT):
        await desk.begin(f"{number:014x}", "quick", None, "ada")
    with pytest.raises(StagingError, match=f"{RUNNING_LIMIT} runs are under way"):
        await desk.begin("f" * 14, "quick", None, "ada")
    assert desk.find("f" * 14) is None
    assert not run.ended


@pytest.mark.parametrize("end", [lambda desk: desk.cancel(ONE), Desk.close])
async def test_a_run_is_ended(make: Make, end: Callable[[Desk], Awaitable[object]]) -> None:
    desk = make(STAYS)
    run = await desk.begin(ONE, "quick", None, "ada")
    await end(desk)
    await ended(run)
    assert (run.cancelled, run.problem, run.report) == (True, "", 0)
    assert run.process is not None
    assert run.process.returncode is not None
    assert await desk.cancel(ONE) is run  # once more changes nothing
    assert await desk.cancel("f" * 14) is None


async def test_a_command_that_is_not_there_is_an_error_and_no_run(make: Make) -> None:
    desk = make(["/no/such/program"])
    with pytest.raises(OSError, match="No such file"):
        await desk.begin(ONE, "quick", None, "ada")
    found = desk.find(ONE)
    assert found is not None
    assert found.ended


async def test_who_waits_is_told_of_the_end(tmp_path: Path) -> None:
    told: list[str] = []
    done = asyncio.Event()

    def changed(uuid: str) -> None:
        told.append(uuid)
        done.set()

    desk = Desk(tmp_path, "sqlite://", lambda: 1, changed, program([], {}, "pass"))
    await desk.begin(ONE, "quick", None, "ada")
    async with asyncio.timeout(60):
        await done.wait()
    assert told == [ONE]
    await desk.close()


async def test_a_line_that_is_too_long_is_passed_over_and_the_next_one_taken(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "LINE_LIMIT", 1000)
    desk = make(program(["x" * 9000, BEGINS, ENDS], {}))
    run = await ended(await desk.begin(ONE, "quick", None, "ada"))
    assert run.results == [RESULT]


@on_moved_clock
async def test_a_run_that_does_not_end_in_an_hour_is_ended(tmp_path: Path) -> None:
    done, since = asyncio.Event(), Since()
    desk = Desk(tmp_path, "sqlite://", lambda: 1000, lambda _uuid: done.set(), STAYS)
    run = await desk.begin(ONE, "quick", None, "ada")
    await done.wait()
    assert since.seconds == pytest.approx(3600.0, abs=1)
    assert run.problem == "not ended after 3600 s"
    assert run.process is not None
    assert await run.process.wait() != 0
    await desk.close()


class Deaf:
    """A process that heeds no SIGTERM."""

    returncode: int | None = None

    def __init__(self) -> None:
        self.killed = asyncio.Event()
        self.asked = False

    def terminate(self) -> None:
        self.asked = True

    def kill(self) -> None:
        self.killed.set()

    async def wait(self) -> int:
        await self.killed.wait()
        return -9


def deaf(folder: Path) -> tuple[Desk, Deaf]:
    desk, process = Desk(folder, "sqlite://", lambda: 1000, command=STAYS), Deaf()
    run: Any = Run(ONE, "quick", None, "ada", 1000)
    run.process = process
    desk._runs[ONE] = run
    return desk, process


@on_moved_clock
async def test_a_run_that_heeds_no_signal_is_killed_after_10_s(tmp_path: Path) -> None:
    (desk, process), since = deaf(tmp_path), Since()
    await desk.cancel(ONE)
    assert process.asked
    assert process.killed.is_set()
    assert since.seconds == pytest.approx(10.0, abs=0.5)


@on_moved_clock
async def test_a_cloud_that_stops_waits_2_s_for_its_runs(tmp_path: Path) -> None:
    (desk, process), since = deaf(tmp_path), Since()
    await desk.close()
    assert process.killed.is_set()
    assert since.seconds == pytest.approx(2.0, abs=0.5)


async def test_a_start_that_was_given_up_leaves_the_device_free(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, started = make(STAYS), desk_module.Desk._start

    async def never(_self: Desk, _run: Run) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(desk_module.Desk, "_start", never)
    with pytest.raises(asyncio.CancelledError):
        await desk.begin(ONE, "quick", None, "ada")
    monkeypatch.setattr(desk_module.Desk, "_start", started)
    assert not (await desk.begin(ONE, "quick", None, "ada")).ended
