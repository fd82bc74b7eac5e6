"""When the microphone is open for the wake word, and what a hit begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agent.voice.session import ListeningError
from agent.voice.wake import Recall, Wake
from machine.capture_child import BLOCK_BYTES
from machine.microphone import BackEnd, FaultKind, MicrophoneError, Take
from machine.shared_microphone import SharedMicrophone
from machine.wake_process import Hit, WakeProcess
from tests.agent.voice.ear_parts import settled

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PAUSE_SECONDS = 30.0


class ScriptedMicrophone(SharedMicrophone):
    """Gives what a test says."""

    def __init__(self) -> None:
        super().__init__(BackEnd("scripted", ()))
        self.tell: Callable[[MicrophoneError], None] | None = None
        self.take: Take | None = None

    async def keep_open(self, take: Take, tell: Callable[[MicrophoneError], None]) -> None:
        self.take, self.tell = take, tell
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # a child takes its time to end
            self.take = None

    def give(self, text: str) -> None:
        for letter in text:
            block = letter.encode() * BLOCK_BYTES
            self.blocks += 1
            self._kept.append(block)
            if self.take is not None:
                self.take(block)


class ScriptedProcess(WakeProcess):
    def __init__(self, on_hit: Callable[[Hit], None]) -> None:
        super().__init__(("none",), on_hit, clock=lambda: 0.0)
        self.log = ""
        self.ready = True
        self.times_again = 0
        self.on_hit = on_hit

    @property
    def listens(self) -> bool:
        return self.ready

    def feed(self, block: bytes) -> None:
        self.blocks += 1
        self.log += chr(block[0])

    def reset(self) -> None:
        self.log += "|"

    def again(self) -> None:
        self.times_again += 1

    async def run(self) -> None:
        await asyncio.Event().wait()


class Scene:
    def __init__(self) -> None:
        self.wanted, self.deaf, self.now = True, False, 0.0
        self.microphone = ScriptedMicrophone()
        self.heard: list[str] = []
        self.refuses = False
        self.process: ScriptedProcess
        self.wake = Wake(
            self.microphone, self.make, self.listen,
            wanted=lambda: self.wanted, deaf=lambda: self.deaf, clock=lambda: self.now,
        )  # fmt: skip

    def make(self, on_hit: Callable[[Hit], None]) -> WakeProcess:
        self.process = ScriptedProcess(on_hit)
        return self.process

    async def listen(self, recall: Recall) -> None:
        if self.refuses:
            raise ListeningError("listen: the machine is waiting already")
        self.heard.append("".join(chr(block[0]) for block in recall()))

    def is_open(self) -> bool:
        return self.microphone.take is not None

    def hit(self, block: int) -> None:
        self.process.on_hit(Hit("w", block, 0.5))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(30):
            task = asyncio.create_task(self.wake.run())
            await settled()
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])
        assert not self.is_open()


async def test_a_hit_begins_listening_with_what_was_said_since() -> None:
    scene = Scene()
    async with scene.running():
        scene.microphone.give("abcdef")
        assert scene.process.log == "abcdef"
        scene.hit(4)  # found when two more had been given
        await settled()
        assert scene.heard == ["ef"]


async def test_what_came_since_is_found_though_blocks_were_left_out_before() -> None:
    scene = Scene()
    async with scene.running():
        scene.microphone.give("ab")
        scene.deaf = True
        scene.microphone.give("xyz")
        scene.deaf = False
        scene.microphone.give("cdef")
        assert scene.process.log == "ab|cdef"
        scene.hit(5)  # of six that it was given
        await settled()
        assert scene.heard == ["f"]


async def test_the_machines_own_sound_is_not_judged_and_a_late_hit_is_none() -> None:
    scene = Scene()
    async with scene.running():
        scene.microphone.give("ab")
        scene.deaf = True
        scene.hit(2)
        scene.microphone.give("cd")
        await settled()
        assert scene.heard == []
        assert scene.process.log == "ab|"


async def test_closed_is_closed_before_who_closes_it_is_answered() -> None:
    scene = Scene()
    async with scene.running():
        scene.wanted = False
        await scene.wake.adjust()
        assert not scene.is_open()
        assert not scene.wake.is_open
        scene.hit(1)
        await settled()
        assert scene.heard == []
        scene.wanted = True
        await scene.wake.adjust()
        await settled()
        assert scene.is_open()


async def test_without_a_word_to_hear_the_microphone_is_closed() -> None:
    scene = Scene()
    async with scene.running():
        scene.process.ready = False
        await scene.wake.adjust()
        assert not scene.is_open()


async def test_a_fault_of_the_microphone_breaks_the_word_and_is_shown_until_it_gives_sound() -> (
    None
):
    scene = Scene()
    async with scene.running():
        scene.microphone.give("ab")
        assert scene.microphone.tell is not None
        scene.microphone.tell(MicrophoneError(FaultKind.FROZEN, "gave nothing for 1 s"))
        assert "gave nothing" in str(scene.wake.status()["fault"])
        scene.microphone.give("c")
        assert scene.process.log == "ab|c"
        assert scene.wake.status()["fault"] is None


async def test_a_button_that_was_as_fast_is_no_fault() -> None:
    scene = Scene()
    scene.refuses = True
    async with scene.running():
        scene.microphone.give("a")
        scene.hit(1)
        await settled()
        scene.refuses = False
        scene.hit(1)
        await settled()
        assert scene.heard == [""]


async def test_who_records_a_word_has_the_microphone_for_a_while() -> None:
    scene = Scene()
    async with scene.running():
        await scene.wake.pause()
        assert not scene.is_open()
        scene.now = PAUSE_SECONDS - 1
        await scene.wake.adjust()
        assert not scene.is_open()
        scene.now = PAUSE_SECONDS + 1  # whoever it was has gone
        await scene.wake.adjust()
        await settled()
        assert scene.is_open()
        await scene.wake.pause()
        scene.wake.words_changed()
        await scene.wake.adjust()
        await settled()
        assert scene.is_open()
        assert scene.process.times_again == 1
