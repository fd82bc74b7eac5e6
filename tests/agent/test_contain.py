"""Work that fails is told once, begun again with growing waits, and ends nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from agent import contain
from agent.contain import Containment
from agent.local.sockets import LocalAccessError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
FIRST_SECONDS = 1.0
MAX_SECONDS = 300.0


class Clock:
    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def failing(errors: list[Exception]) -> Callable[[], object]:
    left = iter(errors)

    async def work() -> None:
        for error in left:
            raise error

    return work


@pytest.mark.parametrize(
    ("error", "told", "traceback"),
    [
        (OSError(5, "Input/output error"), "[Errno 5] Input/output error", False),
        (LocalAccessError("local.http_port 80: taken"), "local.http_port 80: taken", False),
        (OSError(), "OSError", False),
        (KeyError("secret"), "internal error: KeyError", True),
        (ExceptionGroup("group", [OSError(5, "Input/output error")]), "[Errno 5] Input", False),
    ],
)  # fmt: skip
async def test_a_failure_is_told_once_and_the_work_begun_again(
    error: Exception, told: str, *, traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    contained = Containment(clock.sleep)
    seen: list[dict[str, str]] = []

    async def work() -> None:
        seen.append(dict(contained.faults))
        if len(seen) < 4:
            raise error

    with caplog.at_level(logging.INFO):
        await contained.run("battery", work)
    assert [set(each) for each in seen] == [set(), {"battery"}, {"battery"}, {"battery"}]
    assert told in seen[1]["battery"]
    assert contained.faults == {}
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert (caplog.records[0].exc_info is not None) == traceback
    assert "battery: works again" in caplog.text


async def test_another_failure_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    errors = [OSError(5, "a"), OSError(5, "b"), OSError(5, "b"), OSError(5, "a")]
    await Containment(Clock().sleep).run("p", failing(errors))  # type: ignore[arg-type]
    assert [record.message[-1] for record in caplog.records] == ["a", "b", "a"]


async def test_waits_double_up_to_a_bound_and_begin_anew_when_it_has_worked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    await Containment(clock.sleep).run("p", failing([OSError()] * 12))  # type: ignore[arg-type]
    for number, wait in enumerate(clock.waits):
        longest = min(MAX_SECONDS, FIRST_SECONDS * 2**number)
        assert longest / 2 <= wait <= longest

    monkeypatch.setattr(contain, "STEADY_SECONDS", 0.0)
    clock.waits.clear()
    contained = Containment(clock.sleep)

    async def steady_for_a_while() -> None:
        if len(clock.waits) < 6:
            for _ in range(3):  # the loop gets to its timers
                await asyncio.sleep(0)
            assert contained.faults == {}
            raise OSError

    await contained.run("p", steady_for_a_while)
    assert max(clock.waits) <= FIRST_SECONDS


async def test_cancelling_ends_it() -> None:
    contained = Containment()
    task = asyncio.create_task(contained.run("p", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert contained.faults == {}
