"""A microphone, a story and a voice that tests of listening script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from agent.settings import VoiceSettings
from agent.voice.listener import Listener
from agent.voice.session import Session
from agent.voice.stream import LiveSender
from audio.vad import BLOCK_BYTES
from machine.microphone import BackEnd, FaultKind, Microphone, MicrophoneError, Take
from resources.announce.cues import Cue
from tests.agent.memory_link import MemoryLink
from wire.answers import Title

SPEECH, QUIET = "#", "."


async def settled() -> None:
    """Let everything happen that needs no outside event."""
    for _ in range(100):
        await asyncio.sleep(0)


class ScriptedMicrophone(Microphone):
    """Gives what a test says; "#" is a block of speech."""

    def __init__(self) -> None:
        super().__init__(BackEnd("scripted", ()))
        self.take: Take | None = None
        self.tell: Callable[[MicrophoneError], None] | None = None
        self.times_open = 0
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def keep_open(self, take: Take, tell: Callable[[MicrophoneError], None]) -> None:
        self.take, self.tell, self.is_open = take, tell, True
        self.times_open += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # a child takes its time to end
            await self.may_end.wait()
            self.take, self.is_open = None, False

    async def give(self, script: str) -> None:
        """Give a block for each character, as long as the microphone is open."""
        for character in script:
            await asyncio.sleep(0)
            if self.take is not None:
                self.take(character.encode() * BLOCK_BYTES)

    def fail(self, kind: FaultKind = FaultKind.ENDED) -> None:
        assert self.tell is not None
        self.tell(MicrophoneError(kind, f"scripted: {kind}"))


class ScriptedVad:
    name = "scripted"

    def is_speech(self, block: bytes) -> bool:
        return block[:1] == SPEECH.encode()


class CountingGate:
    """Refuses for ``reason``, and counts how often the microphone was opened and closed."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.log: list[str] = []

    def refusal(self) -> str | None:
        return self.reason

    def opened(self) -> None:
        self.log.append("opened")

    def closed(self) -> None:
        self.log.append("closed")

    def status(self) -> dict[str, object]:
        return {"refusal": self.reason}


class ScriptedNamer:
    """Says names when the test lets it."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.can = True
        self.heard = True
        self.may_end = asyncio.Event()
        self.may_end.set()

    def can_tell(self, titles: Sequence[Title]) -> bool:
        return self.can and bool(titles)

    async def tell(self, titles: Sequence[Title]) -> bool:
        self.log.append(" or ".join(title.title for title in titles))
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.log.append("hushed")
            raise
        return self.heard


class Room:
    """A listener among scripted parts; `log` is what happened in the room, in order."""

    def __init__(self, link: MemoryLink | None = None, **settings: object) -> None:
        self.log: list[str] = []
        self.gate = CountingGate()
        self.mute_cues = False
        self.link = link or MemoryLink()
        self.microphone = ScriptedMicrophone()
        self._number = 10000
        voice = replace(VoiceSettings(), **settings)  # type: ignore[arg-type]
        self.listener = Listener(
            self.microphone, ScriptedVad, LiveSender(self.link, voice, self._next_id),
            hold=self.hold, say=self.say,
        )  # fmt: skip
        self.listener.gate = self.gate
        self.ended: list[Session] = []
        self.listener.on_ended = self.ended.append
        self.listener.namer = self.namer = ScriptedNamer(self.log)

    def _next_id(self) -> int:
        self._number += 1
        return self._number

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        self.log.append("story silent")
        try:
            yield
        finally:
            self.log.append("story goes on")

    def say(self, cue: Cue) -> asyncio.Future[bool]:
        self.log.append(str(cue))
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self.mute_cues:
            heard.set_result(True)
        return heard

    @property
    def voice(self) -> list[dict[str, object]]:
        """The segments that the cloud has got."""
        return [report["voice_control"] for report in self.link.reports]  # type: ignore[misc]

    async def until(self, state: str) -> None:
        async with asyncio.timeout(30):
            while self.listener.state != state:
                await asyncio.sleep(0)
        for _ in range(5):  # until what the state began has begun
            await asyncio.sleep(0)
