"""How soon the cue comes after a wake word, and what waiting for one costs (docs/wake.md).

``python -m benchmarks.wake_cue --idle 60 --words 20`` waits so many minutes with the microphone open in a quiet room,
then says the word so often into a sound server's virtual microphone: real recorder, real child, real listener.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from agent.settings import VoiceSettings
from agent.voice.listener import Listener, Recall
from agent.voice.stream import LiveSender
from agent.voice.wake import Wake
from agent.voice.wake_card import learn
from audio.embedding import Missing, find_models
from audio.vad import BLOCK_BYTES, RATE, find_vad, loudness
from audio.wake_card import Card
from audio.wake_ear import FamilyEar
from benchmarks.figures import Spread
from benchmarks.wake import _embedder, in_room, record
from machine.capture_back_ends import find_back_end
from machine.capture_kinds import BackEndKind
from machine.shared_microphone import SharedMicrophone
from machine.wake_process import Hit, WakeProcess, wake_command
from machine.wake_words import StoredWord, WakeWords
from resources.announce.cues import Cue
from tools.pulse import MIC_SOURCE, MicServer

WORD = "故事故事"
LOUD = -40.0
DEADLINE = 20.0


class Up:
    """A link that takes everything."""

    def __init__(self) -> None:
        self.registered = asyncio.Event()
        self.registered.set()

    async def report(self, _report: object) -> None:
        """Take it."""


class Room:
    """The machine's ear with its clock: when the word ended, was known, and the cue was begun."""

    def __init__(self, state: Path, link: Any) -> None:
        self.microphone = SharedMicrophone(find_back_end(MIC_SOURCE, BackEndKind.PAREC))
        sender = LiveSender(link, VoiceSettings(), lambda: 10001)
        self.listener = Listener(
            self.microphone, find_vad, sender, hold=contextlib.nullcontext, say=self.say
        )
        self.loud = self.hit = 0.0
        self.after_word: list[float] = []
        self.after_hit: list[float] = []
        self.cued = asyncio.Event()
        self.wake = Wake(
            self.microphone, lambda on_hit: self.make(state, on_hit), self.listen,
            wanted=lambda: True, deaf=self.deaf,
        )  # fmt: skip

    def make(self, state: Path, on_hit: object) -> WakeProcess:
        def note(hit: Hit) -> None:
            self.hit = time.monotonic()
            on_hit(hit)  # type: ignore[operator]

        self.process = WakeProcess(wake_command(state), note, clock=time.monotonic)
        return self.process

    def deaf(self) -> bool:
        newest = self.microphone.since(self.microphone.blocks - 1)
        if newest and loudness(newest[0]) > LOUD:
            self.loud = time.monotonic()
        return self.listener.busy

    async def listen(self, recall: Recall) -> None:
        await self.listener.listen(recall=recall)

    def say(self, cue: Cue) -> asyncio.Future[bool]:
        said: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        said.set_result(True)
        if cue is Cue.LISTEN:
            self.after_word.append(1000 * (time.monotonic() - self.loud))
            self.after_hit.append(1000 * (time.monotonic() - self.hit))
            self.cued.set()
        return said


def cpu(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return a process's resident memory in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


async def measure(state: Path, server: MicServer, idle: float, words: int) -> None:
    """Print the figures."""
    room = Room(state, Up())
    task = asyncio.create_task(room.wake.run())
    while room.microphone.blocks < 50:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    child = room.process._process  # noqa: SLF001  # whose memory is asked for
    if child is None:
        sys.exit("the child ended")
    before, began = (cpu(child.pid), cpu(os.getpid())), time.monotonic()
    await asyncio.sleep(idle * 60)
    spent = time.monotonic() - began
    print(f"idle {spent / 60:.0f} min: child {100 * (cpu(child.pid) - before[0]) / spent:.2f} % of a core and "
          f"{resident(child.pid):.1f} MB, daemon's side {100 * (cpu(os.getpid()) - before[1]) / spent:.2f} %", flush=True)  # fmt: skip
    missed = 0
    for number in range(words):
        room.cued.clear()
        sound = in_room(WORD, "-p", str(40 + number % 5), noise=0, seed=number)
        player = await asyncio.create_subprocess_exec(
            "pacat", "--playback", "--device=mic", f"--rate={RATE}", "--channels=1", "--format=s16le",
            env=server.environment, stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await player.communicate(sound)
        try:
            async with asyncio.timeout(5):
                await room.cued.wait()
        except TimeoutError:
            missed += 1
        await room.listener.cancel()
        await asyncio.sleep(2.2)  # the cooldown
    print(f"{words} words, {missed} not heard; cue begun after the word was known {Spread.of(room.after_hit)} ms, "
          f"after its last loud block {Spread.of(room.after_word)} ms; p99 "
          f"{np.percentile(room.after_hit, 99):.0f} and {np.percentile(room.after_word, 99):.0f}; child {resident(child.pid):.1f} MB")  # fmt: skip
    task.cancel()
    await asyncio.wait([task])
    await room.listener.close()


def speech_cost() -> None:
    """Print what the child computes while somebody speaks all the time."""
    embedder = _embedder()
    word, _card = learn(WORD, record(embedder, WORD), {}, embedder)
    folder = find_models()
    if isinstance(folder, Missing):
        sys.exit(folder.reason)
    ear = FamilyEar(folder, [word])
    sound = in_room("从前有一只小白兔住在森林里有一天小白兔遇见了大灰狼", seed=3) * 3
    began = time.process_time()
    for at in range(0, len(sound) - BLOCK_BYTES, BLOCK_BYTES):
        ear.add(sound[at : at + BLOCK_BYTES])
    seconds = len(sound) / 2 / RATE
    print(
        f"speech: {100 * (time.process_time() - began) / seconds:.1f} % of a core, {ear.points} points in {seconds:.0f} s"
    )


def main() -> int:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", type=float, default=60.0, help="minutes")
    parser.add_argument("--words", type=int, default=20)
    options = parser.parse_args()
    speech_cost()
    with tempfile.TemporaryDirectory(prefix="story-wake-") as folder:
        state = Path(folder) / "state"
        state.mkdir()
        embedder = _embedder()
        word, _card = learn(WORD, record(embedder, WORD), {}, embedder)
        embedder.close()
        WakeWords(state).save(StoredWord(word, Card(6, 6, 1.0, 0)))
        server = MicServer(Path(folder))
        os.environ.update(server.variables)
        server.start()
        try:
            asyncio.run(measure(state, server, options.idle, options.words))
        finally:
            server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
