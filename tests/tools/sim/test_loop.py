"""The virtual clock of the simulation: time passes also for who waits for the rest of a rounding."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tools.sim.clock import Clock
from tools.sim.loop import SimLoop


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    made = SimLoop(Clock())
    yield made
    made.let_go()
    made.close()


def test_who_waits_for_less_than_the_clock_can_tell_is_there_in_the_end(loop: SimLoop) -> None:
    async def wait() -> None:
        await asyncio.sleep(3377.14)
        end = loop.time() + 3e-13  # the next number is 4.5e-13 away
        while (left := end + 4e-13 - loop.time()) > 0:
            await asyncio.sleep(left / 4)

    loop.run_until_complete(wait())
    assert 3377.14 < loop.time() < 3377.1401


def test_an_executor_with_one_thread_does_one_work_after_another(loop: SimLoop) -> None:
    seconds = iter([0.03, 0.0, 0.004, 0.001])
    loop.executor_seconds = lambda: next(seconds, 0.0)
    done: list[int] = []

    async def work() -> None:
        with ThreadPoolExecutor(1) as one:
            await asyncio.gather(*(loop.run_in_executor(one, done.append, n) for n in range(4)))

    loop.run_until_complete(work())
    assert done == [0, 1, 2, 3]


def test_what_a_thread_has_done_may_be_told_later_than_what_another_did_after_it(
    loop: SimLoop,
) -> None:
    seconds = iter([0.03, 0.001])
    loop.executor_seconds = lambda: next(seconds)
    done: list[str] = []
    told: list[str] = []

    async def ask(name: str, later: float) -> None:
        await asyncio.sleep(later)
        await loop.run_in_executor(None, done.append, name)
        told.append(name)

    async def work() -> None:
        await asyncio.gather(ask("slow", 0.0), ask("quick", 0.02))

    loop.run_until_complete(work())
    assert (done, told) == (["slow", "quick"], ["quick", "slow"])


def cancelled_in_a_group(count: int) -> list[int]:
    made, order = SimLoop(Clock()), list[int]()

    async def wait(number: int) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            order.append(number)

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(wait(number))
            await asyncio.sleep(1)
            raise KeyError

    with pytest.raises(ExceptionGroup):
        made.run_until_complete(made.create_task(group()))
    made.let_go()
    made.close()
    return order


def test_the_tasks_of_a_group_are_cancelled_in_the_same_order_wherever_they_are_in_memory() -> None:
    first = cancelled_in_a_group(60)
    assert sorted(first) == list(range(60))
    held = [[object() for _ in range(number)] for number in range(200)]  # others' addresses
    assert [cancelled_in_a_group(60) for _ in range(3)] == [first] * 3
    assert held
