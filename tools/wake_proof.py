"""The wake word as a family has it, with nothing in place of anything: ``make wake-proof`` (docs/wake.md).

A real cloud, a real agent, and a sound server with a virtual microphone. A family records a word by ``story-agent wake enrol``
on a terminal, speaking after each tone; then the word is said into the room, and the machine's cue, the order that follows,
and the story are heard on the loudspeaker's monitor. Then come those times in which it must not be heard.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from audio.embedding import Missing, find_models
from audio.vad import RATE
from resources.announce.cues import Cue
from staging.client import OpenApiClient
from tools import spoken
from tools.bench import Bench
from tools.processes import BIN, BenchError
from tools.pulse import MIC_SOURCE, MicServer
from tools.sounds.texts import TONES
from tools.speech import sound_of, speak
from tools.tour import BEFORE_HERTZ, BEFORE_TITLE, SPOKEN_HERTZ, SPOKEN_TITLE, write_tone

WORD = "故事故事"
# Of one voice, and never twice the same way.
TAKES = (("-p", "45"), ("-p", "55"), ("-p", "62", "-s", "130"), ("-p", "50", "-s", "112"))
# Nobody says it again as it was recorded, and the sound server skips while other work has the processor.
AGAIN = (("-p", "52", "-s", "125"), TAKES[0], TAKES[1], TAKES[2])
# How the take begins after the tone, as in `agent.voice.wake_enrol`'s texts.
PROMPT = "after the tone"
TALE = "从前有一座山山里有一座庙庙里有一个老和尚正在给小和尚讲一个很长的故事"
OTHER = "小朋友们今天天气真好我们去公园玩吧"
CUE_HERTZ = TONES[Cue.LISTEN][0][0]
ENROL_SECONDS, STEP_SECONDS, QUIET_SECONDS, CUE_SECONDS = 180.0, 40.0, 4.0, 6.0
# Of two words, after which the next counts (`audio.wake_match`).
COOLDOWN_SECONDS = 2.2
SETTINGS = """\
[voice]
microphone = "{source}"
capture = "parec"
vad = "energy"
remote_listen = true
[sounds]
language = "en"
[wake]
on = true
"""


class Home:
    """A machine in a room with a family."""

    def __init__(self, bench: Bench, server: MicServer, client: OpenApiClient) -> None:
        self.bench, self.server, self.client = bench, server, client
        self.monitor = spoken.Monitor(server, CUE_HERTZ, SPOKEN_HERTZ, BEFORE_HERTZ)

    @property
    def uuid(self) -> str:
        """The device's."""
        return self.bench.device["uuid"]

    def listening(self) -> dict[str, Any]:
        """Return what the status says of listening."""
        return dict(self.bench.agent_status().get("listening", {}))

    def wake(self) -> dict[str, Any]:
        """Return what it says of the wake word."""
        return dict(self.listening().get("wake", {}))

    def hits(self) -> int:
        """Return how often a word was heard."""
        return sum(self.wake().get("hits", {}).values())

    def agent(self, *words: str) -> str:
        """Run one of the machine's commands; return what it says on a terminal."""
        return "".join(self.terminal(*words))

    def terminal(self, *words: str) -> Iterator[str]:
        """Run a command on a terminal; yield what it writes as it comes. Raises BenchError unless it ends with 0."""
        ours, theirs = pty.openpty()
        command = [str(BIN / "story-agent"), *words, "--state", str(self.bench.state)]
        environment = {
            **os.environ,
            **self.server.variables,
            "LANG": "en_US.UTF-8",
            "LC_ALL": "en_US.UTF-8",
        }
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ) as running:
            os.close(theirs)
            yield from _read(ours, time.monotonic() + ENROL_SECONDS)
            os.close(ours)
        if running.returncode:
            raise BenchError(f"story-agent {words[0]} {words[1]} ended with {running.returncode}")

    def enrol(self) -> str:
        """Record the word, speaking after each tone; return what the machine said of it."""
        said, prompts = "", 0
        config = str(self.bench.folder / "agent.toml")
        for text in self.terminal("wake", "enrol", WORD, "--config", config, "--hours", "0.02"):
            said += text
            while said.count(PROMPT) > prompts:
                self.monitor.wait_for(CUE_HERTZ)
                self.monitor.wait_for_silence(CUE_HERTZ)
                self.say(WORD, *TAKES[prompts % len(TAKES)])
                prompts += 1
        return said

    def say(self, text: str, *options: str) -> float:
        """Say something into the room; return when its last sample was played, monotonic seconds."""
        sound = sound_of(text, RATE, *options).samples
        command = [
            "pacat",
            "--device=mic",
            f"--rate={RATE}",
            "--channels=1",
            "--format=s16le",
            "--latency-msec=500",
        ]
        subprocess.run(
            command, input=sound, env=self.server.environment, timeout=STEP_SECONDS, check=True
        )
        return time.monotonic()

    def until(self, what: str, look: Callable[[], object]) -> None:
        """Wait until ``look`` says so; raises BenchError."""
        deadline = time.monotonic() + STEP_SECONDS
        while not look():
            if time.monotonic() > deadline:
                raise BenchError(f"no {what} within {STEP_SECONDS:g} s: {self.listening()}")
            time.sleep(0.02)

    def until_it_waits(self) -> None:
        """Wait until the machine waits for the word, and for the cooldown of the last one."""
        self.until(
            "open microphone",
            lambda: self.wake().get("open") and self.listening()["state"] == "idle",
        )
        time.sleep(COOLDOWN_SECONDS)

    def stays_deaf(self, what: str, say: Callable[[], object]) -> str:
        """Let something be said that is not to wake the machine; raises BenchError if it does."""
        before = self.hits()
        say()
        time.sleep(QUIET_SECONDS)
        if self.hits() != before or self.listening()["state"] not in {"idle", "muted"}:
            raise BenchError(f"{what}: it woke: {self.listening()}")
        return "it stays as it is"

    def type_answer(self) -> None:
        """Type what was said, when the cloud has all of it."""
        self.until("utterance", lambda: self.listening()["state"] == "answering")
        spoken.type_for(self.bench, f"播放{SPOKEN_TITLE}")

    def stop(self) -> None:
        """End the story."""
        self.client.send(self.uuid, "PUT", "play", "停止")
        for hertz in (SPOKEN_HERTZ, BEFORE_HERTZ):
            self.monitor.wait_for_silence(hertz)


def _read(terminal: int, deadline: float) -> Iterator[str]:
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 1.0)
        if not ready:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:  # how a terminal whose program has ended says so
            return
        yield data.decode(errors="replace")
    raise BenchError(f"the command did not end within {ENROL_SECONDS:g} s")


@contextmanager
def home() -> Iterator[Home]:
    """Set a machine up whose microphone is open for wake words, of which there is none yet."""
    with (
        tempfile.TemporaryDirectory(prefix="story-wake-") as folder,
        tempfile.TemporaryDirectory(prefix="story-mic-") as short,
        spoken.sound_server(Path(short)) as server,
    ):
        bench = Bench(Path(folder))
        try:
            bench.start_cloud(0, 0)
            bench.flash_device()
            _fill(bench.state / "media")
            (bench.folder / "agent.toml").write_text(SETTINGS.format(source=MIC_SOURCE))
            bench.start_agent(server.variables)
            with bench.client() as client:
                client.bind(bench.device["uuid"], bench.device["bindToken"])
                made = Home(bench, server, client)
                try:
                    yield made
                finally:
                    made.monitor.close()
        finally:
            bench.stop()


def _fill(media: Path) -> None:
    for title, hertz in ((SPOKEN_TITLE, SPOKEN_HERTZ), (BEFORE_TITLE, BEFORE_HERTZ)):
        write_tone(media / f"{title}.wav", seconds=60, hertz=hertz)
    (media / "老和尚.wav").write_bytes(speak(TALE))


def step(title: str, found: object) -> None:
    """Print one line."""
    print(f"{title}: {found}", flush=True)


def wake_up(machine: Home) -> tuple[float, int]:
    """Say the word until it is heard, each time a little differently; return the cue's time after its end, and the times said."""
    for times, manner in enumerate(AGAIN, 1):
        machine.until_it_waits()
        with ThreadPoolExecutor(1) as room, suppress(BenchError):
            saying = room.submit(machine.say, WORD, *manner)
            # Mostly the word is known while its last syllable still sounds.
            cue = machine.monitor.wait_for(CUE_HERTZ, CUE_SECONDS)
            return cue - saying.result(), times
    raise BenchError(f"the word was said {len(AGAIN)} times and not heard: {machine.wake()}")


def word_then_sentence(machine: Home) -> str:
    """Say the word, wait for the cue, say the sentence; the story is heard. Return the times."""
    cue, times = wake_up(machine)
    machine.monitor.wait_for_silence(CUE_HERTZ)
    spoken.speak(machine.server, f"播放{SPOKEN_TITLE}")
    machine.type_answer()
    machine.monitor.wait_for(SPOKEN_HERTZ)
    return f"said {times} time(s), cue {cue:+.2f} s after its last sample; {SPOKEN_TITLE} sounds"


def in_one_breath(machine: Home) -> str:
    """Say the word and the sentence without a pause."""
    sent = int(machine.listening()["utterances"]["sent"])
    for manner in AGAIN:
        machine.until_it_waits()
        machine.say(f"{WORD}播放{SPOKEN_TITLE}", *manner)
        if machine.listening()["state"] != "idle":
            break
    machine.type_answer()
    machine.monitor.wait_for(SPOKEN_HERTZ)
    now = int(machine.listening()["utterances"]["sent"])
    if now != sent + 1:
        raise BenchError(f"utterances sent: expected {sent + 1}, got {now}")
    return f"one utterance; {SPOKEN_TITLE} sounds"


def while_a_story_plays(machine: Home) -> str:
    """A story closes the microphone: the machine's own voice must not wake it."""
    machine.client.send(machine.uuid, "PUT", "play", BEFORE_TITLE)
    machine.monitor.wait_for(BEFORE_HERTZ)
    machine.until("closed microphone", lambda: not machine.wake()["open"])
    return machine.stays_deaf("a story", lambda: machine.say(WORD, *TAKES[0]))


def muted(machine: Home) -> str:
    """The switch closes it before it answers."""
    machine.agent("set", "microphone", "false")
    if machine.wake()["open"]:
        raise BenchError("muted, and the microphone is open")
    told = machine.stays_deaf("muted", lambda: machine.say(WORD, *TAKES[0]))
    machine.agent("set", "microphone", "true")
    return told


def forgotten(machine: Home) -> str:
    """Without words, nothing is open."""
    machine.agent("wake", "forget", WORD, "--config", str(machine.bench.folder / "agent.toml"))
    machine.until("closed microphone", lambda: not machine.wake()["open"])
    return f"fault {machine.wake()['fault']}"


def prove(machine: Home) -> None:
    """Go through everything; raises BenchError at the first that is not so."""
    step("no word yet", f"open {machine.wake()['open']}, {machine.wake()['fault']}")
    said = machine.enrol()
    print("    " + said.strip().replace("\r\n", "\n    "), flush=True)
    step("wake list", machine.agent("wake", "list").strip())
    step("the word, the cue, the sentence", word_then_sentence(machine))
    machine.stop()
    step("word and sentence in one breath", in_one_breath(machine))
    machine.stop()
    machine.until_it_waits()
    step("something else is said", machine.stays_deaf("other", lambda: machine.say(OTHER)))
    step("the word while a story plays", while_a_story_plays(machine))
    machine.stop()
    step("the word while it is muted", muted(machine))
    machine.until_it_waits()
    step("hits and near misses", {name: machine.wake().get(name) for name in ("hits", "near")})
    step("the word is forgotten", forgotten(machine))


def main() -> int:
    """Prove it; the exit code is 0 if everything was so."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    lacking = spoken.missing()
    if isinstance(models := find_models(), Missing):
        lacking.append(models.reason)
    if lacking:
        print(f"wake proof: missing: {', '.join(lacking)}", file=sys.stderr)
        return 1
    try:
        with home() as machine:
            prove(machine)
    except BenchError as error:
        print(f"wake proof: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
