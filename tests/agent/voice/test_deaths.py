"""What listening needs dies in every state: it is always back at rest, the story goes on, and it listens again."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.link import LostError
from agent.settings import VoiceSettings
from agent.voice import states, stream
from agent.voice.listener import Listener
from agent.voice.states import State
from agent.voice.stream import LiveSender
from audio.vad import EnergyVad
from machine import microphone
from machine.microphone import Microphone
from tests.agent.voice.ear_parts import Room
from tests.machine.mic_parts import DEADLINE, back_end, children, mic_server
from tools.pulse import MicServer

STATES = ("opening", "waiting", "speaking", "answering")
VICTIMS = ("sound server", "capture child", "link", "cloud")


class CountingVad(EnergyVad):
    judged = 0

    def is_speech(self, block: bytes) -> bool:
        self.judged += 1
        return super().is_speech(block)


class Scene(Room):
    """A room whose microphone is real."""

    def __init__(self, server: MicServer) -> None:
        super().__init__()
        self.server = server
        self.dead_cloud = False
        self.before = children()
        self.voice_in_room: subprocess.Popen[bytes] | None = None
        real = self.link.report

        async def report(data: dict[str, object]) -> None:
            if self.dead_cloud:
                await asyncio.Event().wait()
            await real(data)

        self.link.report = report  # type: ignore[method-assign, assignment]
        self.ear = Microphone(back_end("parec"))
        self.listener = Listener(
            self.ear, self.make_vad,
            LiveSender(self.link, VoiceSettings(), lambda: 10001), hold=self.hold, say=self.say,
        )  # fmt: skip

    def make_vad(self) -> CountingVad:
        self.vad = CountingVad()
        return self.vad

    def speak(self) -> None:
        """Make a noise that is as loud as a voice."""
        self.voice_in_room = subprocess.Popen(
            ["pacat", "--latency-msec=50", "--device=mic", "--volume=40000", "/dev/urandom"],
            env=self.server.environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def hush(self) -> None:
        if self.voice_in_room is not None:
            self.voice_in_room.kill()
            self.voice_in_room.wait(10)
            self.voice_in_room = None

    async def reach(self, state: str) -> None:
        """Let happen what leads to ``state``."""
        if state == "opening":
            return
        await self.until("waiting")
        if state != "waiting":
            while self.vad.judged < 10:  # a room is quiet before somebody speaks
                await asyncio.sleep(0.005)
            self.speak()
            await self.until("speaking")
        if state == "answering":
            self.hush()
            await self.until("answering")

    async def until(self, state: str) -> None:
        """Wait for a state, and leave the processor to the sound server meanwhile."""
        async with asyncio.timeout(DEADLINE):
            while self.listener.state != state:
                await asyncio.sleep(0.005)

    def kill(self, victim: str) -> None:
        match victim:
            case "sound server":
                self.hush()
                self.server.kill()
            case "capture child":
                for child in children() - self.before - self._own():
                    os.kill(child, signal.SIGKILL)
            case "link":
                self.link.script = [LostError("the link to the cloud is down")] * 20
            case _:
                self.dead_cloud = True

    def _own(self) -> set[int]:
        return set() if self.voice_in_room is None else {self.voice_in_room.pid}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    # What is not tested here need not take its whole time; who speaks on a busy machine is heard late.
    short = {State.ASKED: 0.2, State.ANSWERING: 1.0, State.FAULT: 0.1}
    monkeypatch.setattr(states, "SECONDS", dict(states.SECONDS) | short)
    monkeypatch.setattr(stream, "SEGMENT_SECONDS", 0.5)
    # Nor is what a busy machine's sound server holds back a death of its own.
    monkeypatch.setattr(microphone, "FIRST_BLOCK_SECONDS", DEADLINE)
    monkeypatch.setattr(microphone, "NEXT_BLOCK_SECONDS", DEADLINE)
    with mic_server(tmp_path, monkeypatch) as server:
        made = Scene(server)
        yield made
        made.hush()


# Each death and each state once: make test has no time for all pairs, which DEATHS=20 tries.
PAIRS = (
    list(itertools.product(VICTIMS, STATES))
    if int(os.environ.get("DEATHS", "0")) >= len(VICTIMS) * len(STATES)
    else list(zip(VICTIMS, STATES, strict=True))
)


@pytest.mark.parametrize(("victim", "state"), PAIRS)
async def test_it_is_back_at_rest_and_listens_again(scene: Scene, victim: str, state: str) -> None:
    async with asyncio.timeout(DEADLINE):
        listening = asyncio.create_task(scene.listener.listen())
        await asyncio.sleep(0)
        await scene.reach(state)
        scene.kill(victim)
        if victim == "sound server":
            scene.server.start()
        scene.speak()  # the child goes on, unless it has ended
        if state == "answering":
            scene.hush()
        session = await listening
        scene.hush()
    assert scene.listener.state is State.IDLE
    assert scene.log[-1] == "story goes on"
    if state == "speaking":
        assert session.end == {"link": "lost", "cloud": "lost"}.get(victim, "fault")
    assert not scene.ear.is_open
    scene.link.script, scene.dead_cloud = [], False
    async with asyncio.timeout(DEADLINE):
        listening = asyncio.create_task(scene.listener.listen())
        await scene.until("waiting")
        await scene.listener.cancel()
        await listening
    assert scene.log[-1] == "story goes on"
