"""Requests that come late, wait too long, or come twice; on a virtual clock."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.link.guard import CloudTime, Guard
from wire.codes import Code
from wire.exchange import Answer, Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ANSWERS_LIMIT = 128
READING_SECONDS = 900.0

START_MS = 1_795_305_600_000


class Ticks:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Done:
    """A handler that counts; it waits for ``go``."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.begun = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, request: Request) -> Answer:
        self.begun += 1
        await self.go.wait()
        self.requests.append(request)
        return Answer(Code.CHANGED, b"done")


def put(seconds: float | None = 10, key: bytes = b"") -> Request:
    until = None if seconds is None else START_MS + int(seconds * 1000)
    return Request("PUT", ("volume",), (), b"5", until, key)


def cloud_time(ticks: Ticks) -> CloudTime:
    time = CloudTime(ticks)
    time.note(START_MS, ticks.now)
    return time


@pytest.mark.parametrize(
    ("passed", "carried_out"), [(0, True), (9.9, True), (10.5, False), (15, False), (60, False)]
)
async def test_a_request_after_its_deadline_is_refused_and_does_nothing(
    passed: float, *, carried_out: bool
) -> None:
    ticks, done = Ticks(), Done()
    time = cloud_time(ticks)
    ticks.now += passed
    answer = await Guard(done).handle(put(), time)
    assert len(done.requests) == carried_out
    assert (answer.code == Code.CHANGED) is carried_out
    if not carried_out:
        assert answer.code == Code.SERVICE_UNAVAILABLE
        assert answer.text.startswith(f"too late: PUT /volume: it came {passed - 10:.1f} s after")


async def test_a_request_that_still_waits_at_its_deadline_is_given_up() -> None:
    ticks, done = Ticks(), Done()
    time = cloud_time(ticks)
    done.go.clear()
    answer = await Guard(done).handle(put(0.01), time)
    done.go.set()
    await asyncio.sleep(0)
    assert (answer.code, done.begun, done.requests) == (Code.SERVICE_UNAVAILABLE, 1, [])
    assert "still waiting" in answer.text


@pytest.mark.parametrize("told", [True, False])
async def test_without_a_deadline_or_the_clouds_time_nothing_is_too_late(*, told: bool) -> None:
    ticks, done = Ticks(), Done()
    time = cloud_time(ticks) if told else CloudTime(ticks)
    ticks.now += 3600
    answer = await Guard(done).handle(put(None if told else 10), time)
    assert answer.code == Code.CHANGED


async def test_a_repeat_is_carried_out_once_and_has_the_firsts_answer() -> None:
    ticks, done = Ticks(), Done()
    guard = Guard(done)
    done.go.clear()
    first = asyncio.create_task(guard.handle(put(key=b"1"), cloud_time(ticks)))
    await asyncio.sleep(0)
    # On another connection, while the first is under way, and after it.
    second = asyncio.create_task(guard.handle(put(key=b"1"), cloud_time(ticks)))
    await asyncio.sleep(0)
    done.go.set()
    third = await guard.handle(put(key=b"1"), cloud_time(ticks))
    assert {await first, await second, third} == {Answer(Code.CHANGED, b"done")}
    assert len(done.requests) == 1
    await guard.handle(put(key=b"2"), cloud_time(ticks))
    await guard.handle(put(), cloud_time(ticks))
    await guard.handle(put(), cloud_time(ticks))
    assert len(done.requests) == 4


async def test_a_request_that_was_broken_off_is_not_begun_again_by_its_repeat() -> None:
    ticks, done = Ticks(), Done()
    guard = Guard(done)
    done.go.clear()
    first = asyncio.create_task(guard.handle(put(key=b"1"), cloud_time(ticks)))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    answer = await guard.handle(put(key=b"1"), cloud_time(ticks))
    assert (answer.code, done.begun) == (Code.SERVICE_UNAVAILABLE, 1)


async def test_the_answers_that_are_remembered_are_bounded() -> None:
    ticks, done = Ticks(), Done()
    guard, time = Guard(done), cloud_time(ticks)
    for number in range(ANSWERS_LIMIT + 1):
        await guard.handle(put(key=b"%d" % number), time)
    await guard.handle(put(key=b"%d" % ANSWERS_LIMIT), time)
    assert len(done.requests) == ANSWERS_LIMIT + 1


@given(
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20), st.floats(0, 900)), min_size=1),
    st.floats(-0.00005, 0.00005),
    st.integers(0, 1000),
)
def test_the_clouds_time_is_never_behind_what_it_really_is(
    readings: list[tuple[float, float, float]], drift: float, wait: int
) -> None:
    """Whatever the ways there and back take, and however the clocks drift in one reading's life."""
    ticks = Ticks()
    time, real = CloudTime(ticks), START_MS / 1000

    def pass_seconds(seconds: float) -> None:
        nonlocal real
        ticks.now += seconds
        real += seconds * (1 + drift)

    for there, back, pause in readings:
        asked = ticks.now
        pass_seconds(there)
        told = int(real * 1000)
        pass_seconds(back)
        time.note(told, asked)
        pass_seconds(pause)
    pass_seconds(wait)
    remaining = time.remaining(START_MS)
    assert remaining is not None
    # The oldest reading that may count is that old, and the cloud tells whole milliseconds.
    slack = 0.00005 * (READING_SECONDS + 20 + 900 + wait) + 0.002
    assert START_MS / 1000 - remaining >= real - slack


def test_one_quick_reading_makes_up_for_a_slow_one() -> None:
    ticks = Ticks()
    time = CloudTime(ticks)
    ticks.now += 8
    time.note(START_MS, ticks.now - 8)  # the registration took 8 s
    assert time.remaining(START_MS + 10_000) == pytest.approx(2)
    time.note(START_MS, ticks.now)
    assert time.remaining(START_MS + 10_000) == pytest.approx(10)


@given(
    st.lists(st.tuples(st.floats(0, 700), st.floats(-50, 50)), min_size=1, max_size=12),
    st.floats(0, 2000),
)
def test_the_reading_that_is_the_latest_time_it_can_be_counts_for_a_quarter_of_an_hour(
    told: list[tuple[float, float]], later: float
) -> None:
    ticks, noted = Ticks(), []
    time = CloudTime(ticks)
    for pause, ahead in told:
        ticks.now += pause
        noted.append((ticks.now, START_MS + round((ticks.now + ahead) * 1000)))
        time.note(noted[-1][1], ticks.now)
    ticks.now += later
    counting = [each for each in noted if ticks.now - each[0] <= 900] or noted[-1:]
    cloud_now = min(at_ms / 1000 + ticks.now - asked for asked, at_ms in counting)
    assert time.remaining(START_MS) == pytest.approx(START_MS / 1000 - cloud_now, abs=1e-3)
