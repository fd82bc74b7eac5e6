"""A marked sound that is said into the microphone, for `tools.voice_proof`: the ledger tells why that was open, and erased it is gone.

A sound server of its own has a virtual microphone. It is opened by the command, by a talk button (what the kernel gives of
one, through `tools.button_agent`) and, where the extra ``[wake]`` is, by a word that is said.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from agent.local.gate import PAGE_HEADER
from audio.embedding import Missing, find_models
from audio.pcm import Pcm
from audio.wav import render_wav
from machine.input_keys import EV_KEY, EVENT, PRESSED, RELEASED
from tools import spoken
from tools.bench import Bench
from tools.button_agent import TALK
from tools.processes import BIN, BenchError, command, free_port
from tools.pulse import MicServer
from tools.speech import sound_of, speak
from tools.wake_proof import COOLDOWN_SECONDS, TAKES, TALE, WORD
from wire.family import Why

RATE = 16000
PROGRAMS = ("pulseaudio", "pactl", "pacat", "parec", "paplay")
# On a busy machine, for each step.
STEP_SECONDS = 60.0
# On a busy PC a sound may begin after the 5 s in which it is waited for.
TRIES = 3
# The monitor of a null sink gives its first sound so late to who opens it.
MONITOR_SECONDS = 1.5
# A press that is shorter than a hold: listening then goes on until it is silent.
PRESS_SECONDS = 0.1
HEARD_SECONDS = 6.0
BUTTON_AGENT = Path(__file__).with_name("button_agent.py")
SETTINGS = """\
[local]
http_port = {port}
[buttons]
input = "all"
[wake]
on = true
"""


def lacking() -> list[str]:
    """Return the programs of the sound server that this machine lacks."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def ways() -> dict[Why, str]:
    """Return how the microphone can be opened here; of the others why not."""
    found = {Why.COMMAND: "", Why.BUTTON: "", Why.WORD: ""}
    models = find_models()
    if isinstance(models, Missing):
        found[Why.WORD] = models.reason
    elif missing := spoken.missing():
        found[Why.WORD] = f"missing: {', '.join(missing)}"
    return found


class Room:
    """A machine with a microphone, a talk button and its page at home."""

    def __init__(self, bench: Bench, server: MicServer, folder: Path) -> None:
        """Start the bench's agent anew in this room; ``folder`` holds the button."""
        self._bench, self._server = bench, server
        self._button = folder / "event0"
        os.mkfifo(self._button)
        self._keys = os.open(self._button, os.O_RDWR)
        self._page = f"http://127.0.0.1:{(port := free_port())}/page"
        bench.agent_words = [sys.executable, "-P", BUTTON_AGENT, self._button]
        bench.agent_again(server.variables, spoken.settings() + SETTINGS.format(port=port))

    def close(self) -> None:
        """Start the agent as it was before."""
        os.close(self._keys)
        self._bench.agent_words = ["story-agent"]
        self._bench.agent_again()

    def enrol(self) -> None:
        """Teach the machine the word, from recordings, and what it is not, from a story."""
        tale = self._bench.state / "media" / "tale.wav"
        tale.parent.mkdir(exist_ok=True)
        tale.write_bytes(speak(TALE))
        files = []
        for number, manner in enumerate(TAKES):
            files.append(self._bench.folder / f"take-{number}.wav")
            files[-1].write_bytes(render_wav(sound_of(WORD, RATE, *manner)))
        told = ("--state", self._bench.state, "--config", self._bench.folder / "agent.toml")
        command("story-agent", "wake", "enrol", WORD, "--hours", "0.02", *told, "--wav", *files)
        for file in files:
            file.unlink()
        self._until("microphone that waits for the word", lambda: self._listening()["wake"]["open"])

    def say(self, way: Why, marker: Pcm) -> None:
        """Open the microphone in a way, play the marker into it, and wait for the end of listening."""
        sent = self._sent()
        opening = {Why.COMMAND: self._command, Why.BUTTON: self._press, Why.WORD: self._say_word}
        for _ in range(TRIES):
            with opening[way]():
                self._until("open microphone", lambda: self._state() in {"waiting", "speaking"})
                time.sleep(MONITOR_SECONDS)
                self._play(marker)
                self._until("end of listening", lambda: self._state() == "idle")
            if self._sent() > sent:
                return
        raise BenchError(f"nothing was heard in {TRIES} tries: {self._listening()}")

    @contextlib.contextmanager
    def _command(self) -> Iterator[None]:
        words: list[str | Path] = [BIN / "story-agent", "listen", "--state", self._bench.state]
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as asking:
            try:
                yield
            finally:
                asking.terminate()

    @contextlib.contextmanager
    def _press(self) -> Iterator[None]:
        self._key(PRESSED)
        time.sleep(PRESS_SECONDS)
        self._key(RELEASED)
        yield

    def _key(self, value: int) -> None:
        os.write(self._keys, EVENT.pack(0, 0, EV_KEY, TALK, value))

    @contextlib.contextmanager
    def _say_word(self) -> Iterator[None]:
        for manner in (*TAKES, *TAKES):
            self._until("word that is waited for", lambda: self._listening()["wake"]["open"])
            time.sleep(COOLDOWN_SECONDS)
            self._play(sound_of(WORD, RATE, *manner))
            with contextlib.suppress(BenchError):
                self._until("heard word", lambda: self._state() != "idle", HEARD_SECONDS)
                break
        yield

    def _play(self, sound: Pcm) -> None:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(render_wav(sound))
            file.flush()
            subprocess.run(
                ["paplay", "--device=mic", file.name],
                env=self._server.environment, timeout=STEP_SECONDS, check=True,
            )  # fmt: skip

    def erase_by_page(self, number: int) -> None:
        """Erase an utterance as a parent does: by the device page and its log-in."""
        token = (self._bench.state / "local-token").read_text().strip()
        with httpx.Client(headers={PAGE_HEADER: "1"}, timeout=STEP_SECONDS) as browser:
            browser.post(f"{self._page}/session", content=token).raise_for_status()
            browser.delete(f"{self._page}/voice", params={"id": number}).raise_for_status()

    def _listening(self) -> dict[str, Any]:
        return dict(self._bench.agent_status().get("listening") or {})

    def _state(self) -> str:
        return str(self._listening().get("state"))

    def _sent(self) -> int:
        return int(self._listening().get("utterances", {}).get("sent", 0))

    def _until(self, what: str, look: Callable[[], object], seconds: float = STEP_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline:
                raise BenchError(f"no {what} within {seconds:g} s: {self._listening()}")
            time.sleep(0.05)


@contextlib.contextmanager
def room(bench: Bench) -> Iterator[Room]:
    """Give the bench's machine a microphone and a button for a while."""
    with (
        tempfile.TemporaryDirectory(prefix="story-mic-") as short,
        tempfile.TemporaryDirectory(prefix="story-key-") as keys,
        spoken.sound_server(Path(short)) as server,
    ):
        made = Room(bench, server, Path(keys))
        try:
            yield made
        finally:
            made.close()
