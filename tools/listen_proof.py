"""Listening while its parts die, and odd hands: ``make listen-proof`` (docs/listening.md).

A real cloud, a real agent and a real sound server. A story plays and is heard on the loudspeaker's monitor; the machine is
brought into each state of listening, and one of the parts is killed or frozen in it. Each time the machine must be back at
rest by itself, and the story must sound again. Then come odd inputs: twenty wishes at once, the switch while somebody speaks,
an app's order while the answer is awaited, minutes that are over in the middle of a sentence.
"""

from __future__ import annotations

import argparse
import array
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from agent.local.client import AgentUnreachableError
from audio.vad import RATE
from machine.wake_words import StoredWord, WakeWords
from staging.client import OpenApiClient, OpenApiError
from tools import spoken
from tools.bench import Bench
from tools.processes import BenchError
from tools.pulse import MicServer
from tools.speech import sound_of
from tools.tour import BEFORE_HERTZ, BEFORE_TITLE, SPOKEN_HERTZ, SPOKEN_TITLE, write_tone

STATES = ("opening", "waiting", "speaking", "answering")
VICTIMS = ("sound server", "capture child", "wake child", "player", "link", "cloud")
SENTENCE = f"播放{SPOKEN_TITLE}"
# Long enough to be killed in.
LONG = "我想听一个很长很长的故事里面有小兔子有大灰狼还有小红帽"
REST = frozenset({"idle"})
# The longest way from a death to rest: 6.5 s of opening, 17 of speaking, 7 of answering, 2.5 of a fault.
REST_SECONDS, STORY_SECONDS, STEP_SECONDS = 45.0, 40.0, 40.0
# A machine whose cloud has died twice looks for it again after up to a minute.
FOUND_SECONDS = 100.0
# On a busy PC a sentence may begin to sound after the 5 s in which it is waited for.
TRIES = 3
SETTINGS = """\
[voice]
microphone = "mic.monitor"
capture = "parec"
vad = "energy"
[wake]
on = true
"""


class Proof:
    """A machine, its cloud and its room."""

    def __init__(self, bench: Bench, server: MicServer, client: OpenApiClient) -> None:
        self.bench, self.server, self.client = bench, server, client
        self.monitor = spoken.Monitor(server, SPOKEN_HERTZ, BEFORE_HERTZ)
        self._voices: list[subprocess.Popen[bytes]] = []

    def listening(self) -> dict[str, Any]:
        """Return what the status says of listening."""
        return dict(self.bench.agent_status().get("listening") or {})

    def state(self) -> str:
        """Return the state."""
        return str(self.listening().get("state"))

    def until(self, what: str, look: Callable[[], object], seconds: float = STEP_SECONDS) -> None:
        """Wait until ``look`` says so; raises BenchError."""
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline:
                raise BenchError(f"no {what} within {seconds:g} s: {self.listening()}")
            time.sleep(0.02)

    def order(self, content: str, name: str = "play") -> None:
        """Let the app order something; the cloud may have to be found again first."""
        deadline = time.monotonic() + FOUND_SECONDS
        while True:
            try:
                answer = self.client.send(self.bench.device["uuid"], "PUT", name, content)
            except (OpenApiError, httpx.HTTPError) as error:  # the cloud has just been started
                answer = {"code": str(error)}
            if answer["code"] == "2.04":
                return
            if time.monotonic() > deadline:
                raise BenchError(f"PUT {name} {content}: {answer}")
            time.sleep(0.2)

    def listen(self, action: str = "start") -> threading.Thread:
        """Wish to be listened to; the answer comes at its end."""

        def ask() -> None:
            with suppress(AgentUnreachableError):
                self.bench.local().request("POST", "/listen", action.encode())

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        return asking

    def speak(self, text: str) -> None:
        """Say something, and do not wait for its end."""
        with tempfile.TemporaryFile() as file:
            file.write(sound_of(text, RATE).samples)
            file.seek(0)
            self._voices.append(
                subprocess.Popen(
                    ["pacat", "--device=mic", f"--rate={RATE}", "--channels=1", "--format=s16le"],
                    stdin=file, env=self.server.environment, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip

    def hush(self) -> None:
        """Let nobody speak any more."""
        for voice in self._voices:
            voice.kill()
            voice.wait(10)
        self._voices.clear()

    def reach(self, state: str) -> None:
        """Bring the machine into a state of listening."""
        for left in reversed(range(TRIES)):
            self.until("rest", lambda: self.state() in REST)
            self.listen()
            if state == "opening":
                return
            self.until("open microphone", lambda: self.state() == "waiting")
            if state == "waiting":
                return
            self.speak(SENTENCE if state == "answering" else LONG)
            self.until(f"{state}, or rest", lambda: self.state() in {state, *REST})
            if self.state() == state:
                return
            self.hush()
            if not left:
                raise BenchError(f"no {state} in {TRIES} tries: {self.listening()}")

    def story(self) -> None:
        """Let the story sound that must go on."""
        self.order(BEFORE_TITLE)
        self.monitor.wait_for(BEFORE_HERTZ, STORY_SECONDS)

    def children(self, words: str) -> list[int]:
        """Return the agent's children whose command line has these words."""
        agent = self.bench.agent
        family = _descendants(agent.process.pid) if agent is not None else []
        return [pid for pid in family if words in _command_line(pid)]

    def kill(self, victim: str) -> None:
        """Let one part die, and come back as it does on a machine."""
        match victim:
            case "sound server":
                self.hush()
                self.monitor.close()
                self.server.kill()
                self.server.start()
                self.server.pactl("set-default-sink", spoken.SINK)
                self.monitor = spoken.Monitor(self.server, SPOKEN_HERTZ, BEFORE_HERTZ)
            case "link":
                self._freeze_cloud()
            case "cloud":
                self._cloud_again()
            case _:
                words = {"capture child": "parec", "wake child": "wake_child", "player": "mpv"}
                for pid in self.children(words[victim]):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def _freeze_cloud(self) -> None:
        """Freeze the cloud for longer than an answer is awaited."""
        cloud = self.bench.cloud
        if cloud is None:
            raise BenchError("no cloud runs")
        cloud.process.send_signal(signal.SIGSTOP)
        try:
            self.until("rest while the cloud is frozen", lambda: self.state() in REST, REST_SECONDS)
        finally:
            cloud.process.send_signal(signal.SIGCONT)

    def _cloud_again(self) -> None:
        if self.bench.cloud is None:
            raise BenchError("no cloud runs")
        self.bench.cloud.kill()
        ports = [
            int(address.rpartition(":")[2])
            for address in (self.bench.api, self.bench.device_address)
        ]
        self.until("rest without a cloud", lambda: self.state() in REST, REST_SECONDS)
        self.bench.start_cloud(*ports)

    def die(self, victim: str, state: str) -> str:
        """Let ``victim`` die in ``state``; raises BenchError unless all is well again."""
        self.story()
        self.reach(state)
        began = time.monotonic()
        self.kill(victim)
        self.until("rest", lambda: self.state() in REST, REST_SECONDS)
        rested = time.monotonic() - began
        self.hush()
        self.monitor.wait_for(BEFORE_HERTZ, STORY_SECONDS)
        sounds = max(0.0, time.monotonic() - began)
        last = self.listening().get("last") or {}
        # The wake word's microphone is open while no story sounds, and closed within a second.
        self.until("end of recording", lambda: not self.children("parec"), 5.0)
        return f"at rest after {rested:.1f} s ({last.get('end')}), the story is heard by {sounds:.1f} s"


def _descendants(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text().rsplit(") ", 1)[1].split()[1])
            if parent == pid:
                found.append(int(stat.parent.name))
    return found + [child for each in found for child in _descendants(each)]


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    return ""


def twenty_wishes(machine: Proof) -> str:
    """Twenty presses at once are one session, and a cancel ends it."""
    machine.story()
    asking = [machine.listen() for _ in range(20)]
    machine.until("open microphone", lambda: machine.state() == "waiting")
    if len(machine.children("parec")) != 1:
        raise BenchError(f"recorders: expected 1, got {len(machine.children('parec'))}")
    machine.bench.local().request("POST", "/listen", b"cancel")
    for each in asking:
        each.join(STEP_SECONDS)
    machine.monitor.wait_for(BEFORE_HERTZ)
    return f"one recorder, then {machine.state()}; the story goes on"


def mute_while_speaking(machine: Proof) -> str:
    """The switch closes the microphone before it answers, and is remembered."""
    machine.story()
    machine.reach("speaking")
    machine.order("false", "microphone")
    if machine.state() != "muted" or machine.children("parec"):
        raise BenchError(f"muted, and {machine.state()}, recorders {machine.children('parec')}")
    machine.hush()
    machine.monitor.wait_for(BEFORE_HERTZ)
    refused = machine.bench.local().request("POST", "/listen").text
    machine.order("true", "microphone")
    return f"closed; the story goes on; a wish is answered {refused}"


def order_while_answering(machine: Proof) -> str:
    """An app's order takes the place of the answer."""
    machine.story()
    machine.reach("answering")
    machine.order(SPOKEN_TITLE)
    machine.until("rest", lambda: machine.state() in REST)
    machine.hush()
    machine.monitor.wait_for(SPOKEN_HERTZ)
    machine.monitor.wait_for_silence(BEFORE_HERTZ)
    return f"{SPOKEN_TITLE} sounds"


def budget_over_in_a_sentence(machine: Proof) -> str:
    """A sentence that has begun is heard to its end; the next is refused."""
    machine.story()
    machine.reach("speaking")
    machine.order("daily 0", "listening")
    machine.until("answering", lambda: machine.state() == "answering")
    machine.bench.local().request("POST", "/listen", b"cancel")
    refused = machine.bench.local().request("POST", "/listen").text
    if "today's 0 minutes are over" not in refused:
        raise BenchError(f"after the minutes: {refused}")
    machine.order("off", "listening")
    machine.hush()
    machine.monitor.wait_for(BEFORE_HERTZ)
    return "heard to its end, the next refused; the story goes on"


def volume_at_nothing(machine: Proof) -> str:
    """A machine at volume 0 listens as any other. Its virtual microphone is a sink too, and is silent then."""
    machine.story()
    machine.order("0", "volume")
    try:
        machine.reach("waiting")
        machine.bench.local().request("POST", "/listen", b"cancel")
        machine.until("rest", lambda: machine.state() in REST)
    finally:
        machine.order("10", "volume")
    machine.monitor.wait_for(BEFORE_HERTZ)
    return "it listens; the story goes on"


def story_ends(machine: Proof) -> str:
    """A story that is at its end when somebody wants to speak: it is heard again from a little before."""
    machine.order("一声")
    machine.monitor.wait_for(SPOKEN_HERTZ)
    machine.reach("waiting")
    machine.bench.local().request("POST", "/listen", b"cancel")
    machine.until("rest", lambda: machine.state() in REST)
    machine.monitor.wait_for_silence(SPOKEN_HERTZ)
    return "at rest, and silent after its end"


ODD = (twenty_wishes, mute_while_speaking, order_while_answering, budget_over_in_a_sentence, volume_at_nothing, story_ends)  # fmt: skip


@contextmanager
def room() -> Iterator[Proof]:
    """Start everything."""
    with (
        tempfile.TemporaryDirectory(prefix="story-listen-") as folder,
        tempfile.TemporaryDirectory(prefix="story-mic-") as short,
        spoken.sound_server(Path(short)) as server,
    ):
        bench = Bench(Path(folder))
        try:
            bench.start_cloud(0, 0)
            bench.flash_device()
            for title, hertz, seconds in ((SPOKEN_TITLE, SPOKEN_HERTZ, 600), (BEFORE_TITLE, BEFORE_HERTZ, 600), ("一声", SPOKEN_HERTZ, 4)):  # fmt: skip
                write_tone(bench.state / "media" / f"{title}.wav", seconds=seconds, hertz=hertz)
            store_word(bench.state)
            (bench.folder / "agent.toml").write_text(SETTINGS)
            bench.start_agent(server.variables)
            with bench.client() as client:
                client.bind(bench.device["uuid"], bench.device["bindToken"])
                made = Proof(bench, server, client)
                try:
                    yield made
                finally:
                    made.hush()
                    made.monitor.close()
        finally:
            bench.stop()


def store_word(state: Path) -> None:
    """Give the machine a wake word that nobody says, so that the child runs which listens for it."""
    from audio.embedding import SIZE, unit  # noqa: PLC0415  # of this step alone
    from audio.wake_card import Card  # noqa: PLC0415
    from audio.wake_match import Template, Word  # noqa: PLC0415

    point = unit(array.array("f", ((n * 7) % 5 - 2 for n in range(SIZE))))
    word = Word("没有人说", (Template((point,) * 12, 0.05),))
    WakeWords(state).save(StoredWord(word, Card(4, 4, 12.0, 0)))


def prove(machine: Proof, pairs: Sequence[tuple[str, str]]) -> int:
    """Go through everything; return how often it was not so."""
    failed = 0
    cases: list[tuple[str, Callable[[], str]]] = [
        (f"| {victim} | {state} |", partial(machine.die, victim, state)) for victim, state in pairs
    ]
    cases += [(f"| {each.__name__.replace('_', ' ')} | |", partial(each, machine)) for each in ODD]
    for name, case in cases:
        try:
            print(f"{name} {case()} |", flush=True)
        except (BenchError, OSError, httpx.HTTPError) as error:
            failed += 1
            machine.hush()
            print(f"{name} FAILED: {error} |", flush=True)
    return failed


def main() -> int:
    """Prove it; the exit code is 0 if everything was so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victims", nargs="*", choices=VICTIMS, default=VICTIMS)
    options = parser.parse_args()
    if lacking := spoken.missing():
        print(f"listen proof: missing: {', '.join(lacking)}", file=sys.stderr)
        return 1
    with room() as machine:
        failed = prove(machine, list(itertools.product(options.victims, STATES)))
    print(f"{failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
