"""A simulated machine that is left listening for a wake word, at the seam of `machine.wake_process.WakeProcess`.

Its child process knows one word by one block. It dies, hangs and says what nobody can read; the daemon's side of
it, the shared microphone and what decides when that may be open are the product's own.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import agent.voice.ears
import machine.wake_process
from agent.settings import WakeSettings
from machine.capture_child import BLOCK_BYTES, BLOCK_SECONDS
from machine.wake_process import LINE_BYTES
from machine.wake_protocol import BLOCK
from tools.sim.ears import QUIET_SECONDS, WORD, answer_later
from tools.sim.machine import own
from wire.family import Why

if TYPE_CHECKING:
    from agent.voice.ears import Ears
    from tools.sim.machine import Machine
    from tools.sim.scenario import Event
    from tools.sim.world import World

# An open microphone costs a simulated day as much as all else: only short worlds have it.
LONGEST_HOURS = 0.5
# Until the models are loaded; and within what a word is heard.
READY_SECONDS, HEARD_SECONDS = (0.1, 3.0), 0.5
# Who says the word draws breath before: a microphone that gives a long piece of quiet is at its end then.
BREATH_SECONDS = QUIET_SECONDS + 0.5
MESSAGE_BYTES = 1 + BLOCK_BYTES
NAME = "小星"
TROUBLES = ("dies", "hangs", "raves")


class WakeChild:
    """The child process, as asyncio's `Process` and its two pipes."""

    def __init__(self, of: Machine) -> None:
        """Start it: it is ready in a while."""
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._blocks = 0
        self._hangs_since: float | None = None
        self.returncode: int | None = None
        self.stdout = asyncio.StreamReader(limit=LINE_BYTES)
        self.stdin = self.transport = self
        self._loop.call_later(of.rng.uniform(*READY_SECONDS), self._get_ready)

    @property
    def works(self) -> bool:
        """Whether it runs, and takes what it is given."""
        return self.returncode is None and self._hangs_since is None

    def _get_ready(self) -> None:
        self._say({"kind": "ready", "words": [NAME], "unused": {}})

    def _say(self, told: object) -> None:
        if self.works:
            self.stdout.feed_data(json.dumps(told).encode() + b"\n")

    # Its standard input.

    def write(self, message: bytes) -> None:
        """Take a message of the daemon."""
        self._blocks += message[:1] == BLOCK
        if message == BLOCK + WORD:
            self._say({"kind": "hit", "word": NAME, "block": self._blocks, "share": 0.5})

    def get_write_buffer_size(self) -> int:
        """Return how many bytes it has not taken: all since it hangs."""
        if self._hangs_since is None:
            return 0
        return int((self._loop.time() - self._hangs_since) / BLOCK_SECONDS) * MESSAGE_BYTES

    def is_closing(self) -> bool:
        """Return whether the pipe is closed."""
        return self.returncode is not None

    def close(self) -> None:
        """Close the pipe: the child ends with it."""
        self.end(0)

    # The process.

    def end(self, code: int) -> None:
        """Let it end."""
        if self.returncode is None:
            self.returncode = code
            self.stdout.feed_eof()
            self._ended.set()

    def kill(self) -> None:
        """Kill it."""
        self.end(-9)

    async def wait(self) -> int:
        """Wait for its end; return its exit code."""
        await self._ended.wait()
        return self.returncode or 0

    def get_into(self, trouble: str) -> None:
        """Let it die, hang, or say what nobody can read."""
        if trouble == "dies":
            self.end(-11)
        elif trouble == "hangs":
            self._hangs_since = self._loop.time()
        else:
            self._say(["no such thing"])


def leave_listening(world: World, events: Sequence[Event], hours: float) -> None:
    """Let the machine of a short world in which its wake word is said listen for it; called before it starts."""
    if hours <= LONGEST_HOURS and any(event.what == "wake word" for event in events):
        settings = world.machine.settings
        world.machine.settings = replace(settings, wake=WakeSettings(on=True))


def say_word(world: World, chance: float) -> None:
    """Let a child say the wake word, and something after it; it must be heard if the microphone is open for it."""
    machine, rng = world.machine, random.Random(chance)  # noqa: S311  # a simulation
    if (
        not machine.settings.wake.on
        or machine.life is None
        or machine.sounds.said[1] > world.loop.time()
    ):
        return  # somebody speaks
    world.observer.count("wake words")
    world.observer.promises.touch()
    begin = world.loop.time() + BREATH_SECONDS
    machine.sounds.said = (begin, begin + rng.uniform(0.5, 5.0))
    machine.sounds.word_at = begin
    world.later(BREATH_SECONDS - 0.01, lambda: _expect(world))
    if rng.random() < 0.7:
        answer_later(world, rng, BREATH_SECONDS + 6.0)


def _expect(world: World) -> None:
    """Look whether the word that comes now can be heard, and later whether it was."""
    child, heard = world.machine.wake_child, world.machine.words_heard
    if not may_hear(world.machine):
        return

    def look() -> None:
        same = world.machine.wake_child is child and may_hear(world.machine)
        if same and world.machine.words_heard == heard:
            world.observer.unheard.append(
                "the wake word was said to the open microphone, and nobody listens"
            )

    world.later(HEARD_SECONDS, look)


def is_left_open(of: Machine) -> bool:
    """Return whether the microphone is open for the wake word, and for nobody who speaks."""
    ears: Ears | None = getattr(of.agent, "_ears", None)
    if ears is None or ears.wake is None:
        return False
    return ears.wake.is_open and bool(of.recordings) and not ears.listens


def should_be_open(of: Machine) -> bool:
    """Return whether the microphone of a hands-free machine may be open, and nothing is in the way."""
    ears: Ears | None = getattr(of.agent, "_ears", None)
    if ears is None or ears.wake is None or of.player is None or not of.sounds.device:
        return False
    return ears.may_open and not ears.listens and of.player.sounding is None


def may_hear(of: Machine) -> bool:
    """Return whether the microphone is open for the word, and nothing sounds that could be taken for it."""
    child = of.wake_child
    return is_left_open(of) and should_be_open(of) and child is not None and child.works


def trouble(world: World, chance: float) -> None:
    """Let the child die, hang or rave."""
    child = world.machine.wake_child
    if child is None or world.machine.life is None:
        return
    world.observer.count("faults")
    kind = TROUBLES[int(chance * len(TROUBLES))]
    world.note(f"{world.machine.name}: the wake word's process {kind}")
    child.get_into(kind)


async def _start(_process: object) -> WakeChild:
    await asyncio.sleep(0.05)
    child = own().wake_child = WakeChild(own())
    return child


def bind_wake_child() -> None:
    """Put the simulated child in the place of the real one, for the rest of the process."""
    names: Any = machine.wake_process.WakeProcess
    names._start = _start  # noqa: SLF001  # where it asks the system for a process
    ears: Any = agent.voice.ears.Ears
    listen = ears.listen

    async def noted(self: Any, *, why: Why = Why.BUTTON, **how: Any) -> Any:
        if why is Why.WORD:
            own().words_heard += 1
        return await listen(self, why=why, **how)

    ears.listen = noted
