"""The wake word's child as the daemon holds it: scripted children that say, die, hang and babble."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from machine.capture_child import BLOCK_BYTES
from machine.wake_process import Hit, WakeFault, WakeProcess, render, wake_command
from tests.machine.mic_parts import DEADLINE, children, descriptors

READY = {"kind": "ready", "words": ["w"], "unused": {}}
# Says the lines of its first argument, then a hit for each block, until its second says otherwise.
CHILD = """
import json, sys, time
first, then = sys.argv[1:3]
sys.stdout.write(first); sys.stdout.flush()
if then == "die": sys.exit(7)
if then == "no words": sys.exit(4)
if then == "hang": time.sleep(1000)
n = 0
while len(message := sys.stdin.buffer.read(641)) == 641:
    if message[:1] == b"r":
        print(json.dumps({"kind": "near", "word": "reset"}), flush=True)
        continue
    n += 1
    print(json.dumps({"kind": "hit", "word": "w", "block": n, "share": 0.5}), flush=True)
"""
BLOCK = bytes(BLOCK_BYTES)


class Bench:
    """A keeper of a scripted child, its hits, and its waits, which end when the test lets them."""

    def __init__(self, tmp_path: Path, lines: str, then: str = "") -> None:
        program = tmp_path / "hears.py"
        program.write_text(CHILD, "utf-8")
        self.hits: asyncio.Queue[Hit] = asyncio.Queue()
        self.waits: asyncio.Queue[float] = asyncio.Queue()
        self.go_on = asyncio.Event()
        command = (sys.executable, "-S", str(program), lines, then)
        self.process = WakeProcess(
            command, self.hits.put_nowait, sleep=self.sleep, clock=lambda: 0.0
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.put_nowait(seconds)
        await self.go_on.wait()
        self.go_on.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WakeProcess]:
        before = children()
        async with asyncio.timeout(DEADLINE):
            task = asyncio.create_task(self.process.run())
            try:
                yield self.process
            finally:
                task.cancel()
                await asyncio.wait([task])
        assert children() == before

    async def until(self, what: Callable[[], object]) -> None:
        while not what():
            await asyncio.sleep(0.005)


def line(told: object) -> str:
    return json.dumps(told) + "\n"


async def test_hits_are_numbered_by_the_blocks_it_was_given(tmp_path: Path) -> None:
    bench = Bench(tmp_path, line(READY))
    async with bench.running() as process:
        process.feed(BLOCK)  # before it is ready nothing is sent, and nothing waits
        await bench.until(lambda: process.listens)
        for _ in range(3):
            process.feed(BLOCK)
        assert [(await bench.hits.get()).block for _ in range(3)] == [1, 2, 3]
        assert process.blocks == 3
        process.reset()
        await bench.until(lambda: process.state.near)
        assert process.state.near == {"reset": 1}
        assert process.state.hits == {"w": 3}


ENDS = {
    "it dies at once": ("", "die", WakeFault.ENDED, "ended with 7"),
    "it dies when it was ready": (line(READY), "die", WakeFault.ENDED, "ended with 7"),
    "it has no models": (
        line({"kind": "fault", "text": "no models: pip install"}), "", WakeFault.NO_MODELS, "pip install",
    ),
    "no word is recorded": (
        line({"kind": "ready", "words": [], "unused": {}}), "no words", WakeFault.NO_WORDS, "wake enrol",
    ),
    "a word has a bad card": (
        line({"kind": "ready", "words": [], "unused": {"w": "9 false alarms"}}), "no words",
        WakeFault.NO_WORDS, "w: 9 false alarms",
    ),
    "it babbles": ("no JSON\n", "", WakeFault.ENDED, "cannot be read"),
    "it says another shape": (line({"kind": "hit"}), "", WakeFault.ENDED, "cannot be read"),
    "it says no end of it": ("x" * 100000, "", WakeFault.ENDED, "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "then", "fault", "text"), ENDS.values(), ids=ENDS)
async def test_each_end_has_a_name_and_a_next_try_after_a_back_off(
    tmp_path: Path, lines: str, then: str, fault: WakeFault, text: str
) -> None:
    bench = Bench(tmp_path, lines, then)
    async with bench.running() as process:
        first = await bench.waits.get()
        assert process.state.faults == {fault: 1}
        assert text in process.state.fault
        assert text in str(render(process.state)["fault"])
        assert not process.listens
        bench.go_on.set()
        second = await bench.waits.get()
        assert process.state.faults == {fault: 2}
        assert second > 0.9 * first


async def test_one_that_hangs_is_ended_and_nothing_piles_up(tmp_path: Path) -> None:
    bench = Bench(tmp_path, line(READY), "hang")
    async with bench.running() as process:
        await bench.until(lambda: process.listens)
        for _ in range(1000):  # 20 s of sound
            process.feed(BLOCK)
            await asyncio.sleep(0)
            if not process.listens:
                break
        assert process.blocks < 300
        await bench.waits.get()
        assert process.state.faults == {WakeFault.BEHIND: 1}


async def test_a_program_that_cannot_be_started_is_a_fault_and_not_an_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "")
    bench.process._command = (str(tmp_path / "nothing"),)
    async with bench.running() as process:
        await bench.waits.get()
        assert process.state.faults == {WakeFault.NOT_STARTED: 1}


async def test_one_that_never_starts_is_tried_after_1_s_and_at_last_once_a_minute(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, "")
    bench.process._command = (str(tmp_path / "nothing"),)
    async with bench.running():
        for longest in (1, 2, 4, 8, 16, 32, 60, 60):  # chance takes up to half of each away
            assert longest / 2 <= await bench.waits.get() <= longest
            bench.go_on.set()


async def test_one_that_is_never_ready_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("machine.wake_process.READY_SECONDS", 0.05)
    bench = Bench(tmp_path, "", "hang")
    async with bench.running() as process:
        await bench.waits.get()
        assert process.state.faults == {WakeFault.NOT_STARTED: 1}


async def test_changed_words_are_read_at_once_also_in_a_back_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path, line(READY))
    async with bench.running() as process:
        await bench.until(lambda: process.listens)
        process.again()
        await bench.until(lambda: not process.listens)
        await bench.until(lambda: process.listens)
        assert process.state.faults == {}
    dead = Bench(tmp_path, "", "die")
    async with dead.running() as process:
        await dead.waits.get()
        process.again()
        await dead.waits.get()  # nobody ended the wait before


async def test_deaths_leave_no_file_open(tmp_path: Path) -> None:
    bench = Bench(tmp_path, line(READY), "die")
    async with bench.running():
        await bench.waits.get()
        before = descriptors()
        for _ in range(5):
            bench.go_on.set()
            await bench.waits.get()
        assert descriptors() <= before + 1


def test_the_command_takes_no_module_from_where_it_runs(tmp_path: Path) -> None:
    assert "-P" in wake_command(tmp_path, "alexa")
