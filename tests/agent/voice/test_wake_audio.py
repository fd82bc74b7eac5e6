"""Hands-free over a real virtual microphone: the word, and in the same breath the sentence that the cloud decodes.

A real sound server, a real recorder, the wake word's real child process, a real detector and libspeex; the link
is in memory, and the cue is silent.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from agent.settings import Band, VoiceSettings
from agent.voice.listener import Listener, Recall
from agent.voice.session import End, Session
from agent.voice.stream import LiveSender
from agent.voice.wake import Wake
from audio.vad import RATE, VadKind, find_vad
from audio.wake_match import Word
from audio.wake_take import templates
from base.backoff import Backoff
from machine.shared_microphone import SharedMicrophone
from machine.wake_process import WakeFault, WakeProcess, wake_command
from machine.wake_words import StoredWord, WakeWords
from resources.announce.cues import Cue
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import DEADLINE
from tests.agent.voice.test_real_audio import LOUDNESS, align, correlation, decoded
from tests.audio.wake_speech import MANNERS, models, need_speech, said, take
from tests.machine.mic_parts import back_end, children, mic_server
from tests.machine.wake_parts import GOOD
from tests.waiting import until
from tools.pulse import MicServer
from tools.speech import scaled, sound_of

WORD = "故事故事"
SENTENCE = "播放小兔子乖乖"
CUE_SECONDS = 0.2
# A second of silence after a saying. A busy machine may lose a part of one saying; who calls in vain calls again.
END = array.array("h", bytes(2 * RATE))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MicServer]:
    need_speech()
    with mic_server(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    need_speech()
    folder, embedder = tmp_path / "state", models()
    folder.mkdir()
    takes = [take(embedder, said(WORD, *manner)) for manner in MANNERS[:2]]
    embedder.close()
    WakeWords(folder).save(StoredWord(Word(WORD, templates(takes)), GOOD))
    return folder


class Machine:
    """A listener and what wakes it; the cue takes its time and is silent."""

    def __init__(self, state: Path) -> None:
        self.link, self.sessions = MemoryLink(), list[Session]()
        self.microphone = SharedMicrophone(back_end("parec"))
        self.done = asyncio.Event()
        self.process: WakeProcess
        settings = VoiceSettings(band=Band.WIDE)
        self.listener = Listener(
            self.microphone, lambda: find_vad(VadKind.AUTO), LiveSender(self.link, settings, lambda: 10001),
            hold=contextlib.nullcontext, say=self.say,
        )  # fmt: skip

        def make(on_hit: object) -> WakeProcess:
            self.process = WakeProcess(
                wake_command(state), on_hit, clock=time.monotonic, backoff=Backoff(0.1, first=0.1),  # type: ignore[arg-type]
            )  # fmt: skip
            return self.process

        self.wake = Wake(
            self.microphone, make, self.listen, wanted=lambda: True, deaf=lambda: self.listener.busy
        )

    def say(self, _cue: Cue) -> asyncio.Future[bool]:
        async def sound() -> bool:
            await asyncio.sleep(CUE_SECONDS)
            return True

        return asyncio.ensure_future(sound())

    async def listen(self, recall: Recall) -> None:
        task = asyncio.create_task(self.listener.listen(recall=recall))
        while not task.done() and "sent" not in self.listener._now.times:
            await asyncio.sleep(0.01)
        self.listener.note_order()
        self.sessions.append(await task)
        self.done.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        before = children()
        async with asyncio.timeout(DEADLINE):
            task = asyncio.create_task(self.wake.run())
            try:
                while not (self.wake.is_open and self.microphone.blocks > 50):
                    await asyncio.sleep(0.02)
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])
                await self.listener.close()
        assert children() <= before


async def speak(server: MicServer, *parts: array.array[int]) -> None:
    player = await asyncio.create_subprocess_exec(
        "pacat", "--playback", "--device=mic", f"--rate={RATE}", "--channels=1", "--format=s16le",
        "--latency-msec=500", env=server.environment, stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await player.communicate(b"".join(part.tobytes() for part in parts))


def spoken(text: str, *options: str) -> array.array[int]:
    sound = array.array("h", sound_of(text, RATE, *options).samples)
    loud = [n for n, sample in enumerate(sound) if abs(sample) > 300]
    return scaled(sound[loud[0] : loud[-1]], LOUDNESS)


async def test_the_sentence_in_the_words_breath_reaches_the_cloud_whole(
    server: MicServer, state: Path
) -> None:
    machine = Machine(state)
    sentence = spoken(SENTENCE)
    pause = array.array("h", bytes(2 * RATE // 4))
    async with machine.running():
        while not machine.process.state.hits:
            await speak(server, spoken(WORD, *MANNERS[0]), pause, sentence, END)
        await machine.done.wait()
        session = machine.sessions[0]
        assert session.end is End.SENT
        assert set(machine.process.state.hits) == {WORD}
        assert machine.wake.is_open  # it waits for the next word
        heard = array.array("h", decoded(machine.link, RATE).samples)
        assert correlation(sentence, align(sentence, heard, RATE)) > 0.85


async def test_a_child_that_dies_is_started_again_and_hears_and_the_button_works_meanwhile(
    server: MicServer, state: Path
) -> None:
    machine = Machine(state)
    async with machine.running():
        assert machine.process._process is not None
        os.kill(machine.process._process.pid, signal.SIGKILL)
        listening = asyncio.create_task(machine.listener.listen())
        while machine.listener.state != "waiting":
            await asyncio.sleep(0.01)
        assert await machine.listener.cancel()
        await listening
        # Whether its death is noticed before the listener asks for it again is for the kernel to say.
        await until(lambda: machine.process.state.faults)
        assert machine.process.state.faults == {WakeFault.ENDED: 1}
        await until(lambda: machine.process.listens and machine.wake.is_open)
        while not machine.process.state.hits:
            await speak(server, spoken(WORD, *MANNERS[1]), END)
