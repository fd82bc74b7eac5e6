"""A sentence said into a virtual microphone, and the story that it asked for on the sound server's monitor.

The tour's step "说出来的故事" and ``benchmarks.spoken`` stand on it: a real agent listens with its own microphone
process, the cloud recognises (or somebody types what was said, for a cloud without the extra ``[asr]``), and the
story is recognised by its tone.
"""

from __future__ import annotations

import array
import json
import math
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, TypeVar

from agent.local import SOCKET_NAME
from agent.local.client import LocalClient
from audio.vad import RATE
from staging.commands.asking import ask
from tools.bench import Bench
from tools.processes import BenchError
from tools.pulse import MIC_SOURCE, MicServer
from tools.speech import sound_of

PROGRAMS = ("pulseaudio", "pactl", "pacat", "parec", "paplay", "espeak-ng", "mpv")
SINK = "bench"
# On a busy machine a sound server and an agent take their time; a step that is stuck ends by this.
STEP_SECONDS = 40.0
SPEAK_SECONDS = 30.0
BLOCK = RATE // 50
# Tones are multiples of 50 Hz, so that blocks of 20 ms tell them apart. One of the bench's stories has about 2,000 of
# 32,768 at full level, and nothing else sounds there.
LOUD = 100.0
# Blocks in a row, of 20 ms: a click is shorter.
STEADY = 3

T = TypeVar("T")


def missing() -> list[str]:
    """Return what this machine lacks for the step: programs, and the module that knows pinyin."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return lacking + ([] if find_spec("pypinyin") else ["pypinyin"])


def settings() -> str:
    """Return what the agent's settings need in their last table, ``voice``."""
    return f'microphone = "{MIC_SOURCE}"\ncapture = "parec"\nvad = "energy"\n'


def strength(block: array.array[int], hertz: float) -> float:
    """Return the amplitude of one frequency in samples at RATE (Goertzel)."""
    turn = 2 * math.cos(2 * math.pi * hertz / RATE)
    before = last = 0.0
    for sample in block:
        before, last = last, sample + turn * last - before
    power = last * last + before * before - turn * last * before
    return 2 * math.sqrt(max(0.0, power)) / len(block)


class Tones:
    """Which tones sound, block by block, and since when; times are seconds of the caller's clock."""

    def __init__(self, *tones: float) -> None:
        self._blocks = dict.fromkeys(tones, 0)
        self.since: dict[float, float] = {}
        """The tones that sound, and since when."""

    def take(self, block: array.array[int], now: float) -> None:
        """Take a block of BLOCK samples that ended at ``now``."""
        for hertz in self._blocks:
            sounds = strength(block, hertz) > LOUD
            self._blocks[hertz] = self._blocks[hertz] + 1 if sounds else 0
            if self._blocks[hertz] == STEADY:
                # The end of the first block: it has sounded by then, for 20 ms at most.
                self.since[hertz] = now - (STEADY - 1) * BLOCK / RATE
            elif not sounds:
                self.since.pop(hertz, None)


class Monitor:
    """Hears what the machine plays: since when each tone sounds, in monotonic seconds."""

    def __init__(self, server: MicServer, *tones: float) -> None:
        """Listen for ``tones`` (hertz) on the server's sink."""
        self._tones = Tones(*tones)
        self._recorder = subprocess.Popen(
            ["parec", f"--device={SINK}.monitor", "--raw", "--latency-msec=20", f"--rate={RATE}", "--channels=1",
             "--format=s16le"],
            env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._run, args=(self._recorder.stdout,), daemon=True
        )
        self._thread.start()

    def _run(self, recorded: IO[bytes]) -> None:
        while len(data := recorded.read(2 * BLOCK)) == 2 * BLOCK:
            block = array.array("h", data)
            if sys.byteorder == "big":
                block.byteswap()
            with self._changed:
                self._tones.take(block, time.monotonic())
                self._changed.notify_all()

    def wait_for(self, hertz: float, seconds: float = STEP_SECONDS) -> float:
        """Return since when the tone sounds; raises BenchError if it does not in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: hertz in self._tones.since, seconds):
                raise BenchError(f"no tone of {hertz:g} Hz sounds within {seconds:g} s")
            return self._tones.since[hertz]

    def wait_for_silence(self, hertz: float, seconds: float = STEP_SECONDS) -> None:
        """Wait until the tone does not sound; raises BenchError if it goes on."""
        with self._changed:
            if not self._changed.wait_for(lambda: hertz not in self._tones.since, seconds):
                raise BenchError(f"the tone of {hertz:g} Hz goes on for {seconds:g} s")

    def close(self) -> None:
        """Stop listening."""
        self._recorder.kill()
        self._recorder.wait(10)
        self._thread.join(10)


@dataclass
class Said:
    """How a sentence went.

    Attributes:
        wish: when the machine was asked to listen, monotonic seconds.
        session: how listening ended, as the local API tells it; its ``seconds`` count from the wish.
        outcome: what the cloud understood and did.
    """

    wish: float
    session: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=dict)

    def at(self, stage: str) -> float:
        """Return when a stage was, in monotonic seconds."""
        return self.wish + float(self.session["seconds"][stage])


@contextmanager
def sound_server(folder: Path) -> Iterator[MicServer]:
    """Run a sound server with a virtual microphone in ``folder``, whose path is short."""
    server = MicServer(folder)
    try:
        server.start()
        server.pactl("set-default-sink", SINK)
        yield server
    finally:
        server.kill()


def say(bench: Bench, server: MicServer, sentence: str, *, typed: bool) -> Said:
    """Let the machine listen, say a sentence into its microphone, and wait until listening has ended.

    Args:
        bench: its agent uses the server.
        server: has the virtual microphone.
        sentence: Chinese characters.
        typed: whether the sentence is typed when the machine waits for its answer.

    Raises:
        BenchError: the machine does not listen, or hears nothing.
    """
    before, said = _sent(bench), Said(time.monotonic())
    listening = threading.Thread(target=_listen, args=(bench, said), daemon=True)
    listening.start()
    _until(lambda: _state(bench) == "waiting", "open microphone")
    speak(server, sentence)
    if typed:
        # Only then does the sentence belong to the utterance.
        _until(lambda: _sent(bench) > before or bool(said.session), "utterance at the cloud")
        said.outcome = type_for(bench, sentence)
    listening.join(STEP_SECONDS)
    if said.session.get("end") != "sent":
        raise BenchError(f"the sentence was not heard: {said.session}")
    return said


def speak(server: MicServer, sentence: str) -> None:
    """Say a sentence into the virtual microphone."""
    subprocess.run(
        ["pacat", "--device=mic", f"--rate={RATE}", "--channels=1", "--format=s16le"],
        input=sound_of(sentence, RATE).samples, env=server.environment, timeout=SPEAK_SECONDS, check=True,
    )  # fmt: skip


def type_for(bench: Bench, sentence: str) -> dict[str, Any]:
    """Type a sentence, as the console does, for the utterance that waits; return the outcome."""
    return ask(bench.cloud_data, "say", {"uuid": bench.device["uuid"], "text": sentence})


def _sent(bench: Bench) -> int:
    """Return how many utterances the cloud has whole."""
    listening = bench.agent_status().get("listening", {})
    return int(listening.get("utterances", {}).get("sent", 0))


def _listen(bench: Bench, said: Said) -> None:
    answer = LocalClient(bench.state / SOCKET_NAME).request("POST", "/listen")
    said.session = json.loads(answer.body) if answer.status < 300 else {"end": answer.text}


def _state(bench: Bench) -> str:
    return str(bench.agent_status().get("listening", {}).get("state"))


def _until(look: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + STEP_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise BenchError(f"no {what} within {STEP_SECONDS:g} s")
        time.sleep(0.02)
    return found
