"""One recording for several: who joins, who leaves, and when the child ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from base.backoff import Backoff
from machine.capture_child import BLOCK_BYTES
from machine.microphone import BackEnd, FaultKind, MicrophoneError
from machine.shared_microphone import SharedMicrophone
from tests.machine.mic_parts import DEADLINE, children

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEPT_SECONDS = 1.5

# Numbers its blocks, and gives them faster than a microphone; it dies after as many as its argument says.
CHILD = """
import sys, time
n = 0
while n < int(sys.argv[1]):
    n += 1
    sys.stdout.buffer.write(n.to_bytes(4, "big") + b"x" * 636)
    sys.stdout.flush()
    time.sleep(0.002)
"""


@pytest.fixture(autouse=True)
def no_sound_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are counted here, and pactl would be one."""

    async def read_source(_process: int) -> str:
        return ""

    monkeypatch.setattr("machine.microphone.read_source", read_source)


class Heard:
    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.faults: list[FaultKind] = []
        self.changed = asyncio.Event()

    def take(self, block: bytes) -> None:
        self.numbers.append(int.from_bytes(block[:4], "big"))
        self.changed.set()

    def tell(self, error: MicrophoneError) -> None:
        self.faults.append(error.kind)
        self.changed.set()

    async def until(self, blocks: int = 0, faults: int = 0) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.numbers) < blocks or len(self.faults) < faults:
                self.changed.clear()
                await self.changed.wait()


def microphone(tmp_path: Path, blocks: int = 100000, **kwargs: object) -> SharedMicrophone:
    program = tmp_path / "records.py"
    program.write_text(CHILD, "utf-8")
    back_end = BackEnd("numbers", ("/usr/bin/env", "python3", "-S", str(program), str(blocks)))
    return SharedMicrophone(back_end, **kwargs)  # type: ignore[arg-type]


def keep(shared: SharedMicrophone, heard: Heard) -> asyncio.Task[None]:
    return asyncio.create_task(shared.keep_open(heard.take, heard.tell))


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task], timeout=DEADLINE)
    assert task.done()


async def test_who_joins_gets_what_comes_from_then_on_and_can_ask_for_what_came(
    tmp_path: Path,
) -> None:
    shared, first, second = microphone(tmp_path), Heard(), Heard()
    one = keep(shared, first)
    await first.until(blocks=10)
    since = shared.blocks - 3
    two = keep(shared, second)
    await second.until(blocks=5)
    assert second.numbers[0] > 1
    recalled = [int.from_bytes(block[:4], "big") for block in shared.since(since)]
    assert recalled == list(range(since + 1, shared.blocks + 1))
    assert first.numbers == list(range(1, len(first.numbers) + 1))  # nothing was lost to the first
    await end(one)
    await end(two)


async def test_it_closes_with_the_last_one_and_opens_again(tmp_path: Path) -> None:
    before = children()
    shared, first, second = microphone(tmp_path), Heard(), Heard()
    one, two = keep(shared, first), keep(shared, second)
    await second.until(blocks=3)
    await end(one)
    count = len(second.numbers)
    await second.until(blocks=count + 3)
    await end(two)
    assert children() <= before  # a child of a test before may end meanwhile
    assert shared.since(0) == ()  # nothing is kept of a closed microphone
    three = keep(shared, third := Heard())
    await third.until(blocks=1)
    assert third.numbers[0] == 1
    await end(three)
    assert shared.is_open is False
    assert children() <= before  # a child of a test before may end meanwhile


async def test_who_comes_while_it_closes_waits_for_a_closed_card(tmp_path: Path) -> None:
    before = children()
    shared, first, second = microphone(tmp_path), Heard(), Heard()
    one = keep(shared, first)
    await first.until(blocks=1)
    one.cancel()
    await asyncio.sleep(0)
    two = keep(shared, second)
    await second.until(blocks=1)
    assert len(children() - before) == 1
    assert second.numbers[0] == 1
    await end(two)


async def test_a_fault_is_told_to_all_and_what_was_kept_is_forgotten(tmp_path: Path) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    shared = microphone(tmp_path, blocks=5, sleep=sleep)
    first, second = Heard(), Heard()
    one, two = keep(shared, first), keep(shared, second)
    await first.until(faults=1)
    await second.until(blocks=6, faults=1)
    assert first.faults[0] == second.faults[0] == FaultKind.ENDED
    assert waits
    assert shared.faults[FaultKind.ENDED] >= 1
    await end(one)
    await end(two)


async def test_who_joins_does_not_wait_for_the_back_off(tmp_path: Path) -> None:
    async def never(_seconds: float) -> None:
        await asyncio.Event().wait()

    shared = microphone(tmp_path, blocks=1, backoff=Backoff(60, first=60), sleep=never)
    first, second = Heard(), Heard()
    one = keep(shared, first)
    await first.until(faults=1)
    two = keep(shared, second)
    await second.until(blocks=1)
    await end(one)
    await end(two)


async def test_no_more_is_kept_than_a_wake_word_needs(tmp_path: Path) -> None:
    shared, heard = microphone(tmp_path), Heard()
    task = keep(shared, heard)
    await heard.until(blocks=150)
    kept = shared.since(0)
    assert len(kept) == round(KEPT_SECONDS / 0.020)
    assert all(len(block) == BLOCK_BYTES for block in kept)
    assert shared.since(shared.blocks) == ()
    assert shared.since(shared.blocks + 5) == ()
    await end(task)


@pytest.mark.parametrize("joins", [1, 2])
async def test_a_cancellation_leaves_no_child(tmp_path: Path, joins: int) -> None:
    before = children()
    shared = microphone(tmp_path)
    tasks = [keep(shared, Heard()) for _ in range(joins)]
    await asyncio.sleep(0)
    for task in tasks:
        await end(task)
    assert children() <= before  # a child of a test before may end meanwhile
