"""The microphone of a simulated machine and who speaks to it, at the seam of `machine.microphone.Recording`.

A child presses the talk button and says something; the cloud does an order, and answers. What is understood is the
seed's matter: no recogniser runs.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import contextvars
import functools
import random
from typing import TYPE_CHECKING, Any

import machine.microphone
from machine.capture_child import BLOCK_BYTES, BLOCK_SECONDS
from machine.microphone import BackEnd, FaultKind, MicrophoneError
from staging.gateway.ear import Ear
from tools.sim.life import CURRENT
from tools.sim.machine import CURRENT_MACHINE, TITLES, own
from wire.answers import Result, UtteranceAnswer
from wire.codes import Code

if TYPE_CHECKING:
    from tools.sim.machine import Machine
    from tools.sim.world import World

_NOISE = random.Random(1)  # noqa: S311  # a simulation
QUIET, LOUD = (
    array.array("h", [_NOISE.randint(-top, top) for _ in range(BLOCK_BYTES // 2)]).tobytes()
    for top in (30, 9000)
)
# The wake word, as one block; and what an open microphone gives in one piece while nobody speaks, in seconds.
WORD = b"\1\2" * (BLOCK_BYTES // 2)
QUIET_SECONDS = 2.0
# Seconds until the child speaks, and until the cloud has understood.
BEFORE_SECONDS, CLOUD_SECONDS = 0.5, (0.3, 4.0)
# What a child does: speaks until silence, or as long as the button is held, presses it again, or turns the microphone off.
KINDS = ("tap", "hold", "twice", "off")


@functools.lru_cache(8)
def voice_at(begin: float) -> bytes:
    """Return the block of one who begins to speak at a time, unlike all others."""
    return random.Random(begin).randbytes(BLOCK_BYTES)  # noqa: S311  # a simulation


class SimRecording:
    """A `machine.microphone.Recording` of the machine whose code runs."""

    def __init__(self, of: Machine) -> None:
        """Use `start`."""
        self._of = of
        self._loop = asyncio.get_running_loop()
        self._heard_until = self._loop.time()
        """The end of the last block: what is said after it is in the next one."""
        of.recordings.add(self)

    @classmethod
    async def start(cls, back_end: BackEnd) -> SimRecording:
        """Open it; raises MicrophoneError."""
        del back_end
        await asyncio.sleep(0.1)
        if not own().sounds.device:
            raise MicrophoneError(FaultKind.NO_DEVICE, "simulated: no such device")
        return cls(own())

    async def block(self) -> bytes:
        """Return the next 20 ms, or more where all is quiet and nobody is listened to; raises MicrophoneError."""
        sounds = self._of.sounds
        await asyncio.sleep(self._seconds())
        if not sounds.device:
            raise MicrophoneError(FaultKind.ENDED, "simulated: the device went away")
        begin, end = sounds.said
        heard_until, self._heard_until = self._heard_until, self._loop.time()
        now = self._heard_until
        if sounds.word_at is not None and sounds.word_at <= now:
            was_there = heard_until < sounds.word_at
            sounds.word_at = None
            if was_there:  # else nobody heard it when it was said
                return WORD
        if not begin <= now < end:
            return QUIET
        return voice_at(begin) if sounds.has_voices else LOUD

    def _seconds(self) -> float:
        """Return how long the next block is: one that only the wake word's process hears may be long."""
        ears = getattr(self._of.agent, "_ears", None)
        if (
            ears is None
            or ears.listens
            or self._loop.time() < self._of.sounds.said[1] + QUIET_SECONDS
        ):
            return BLOCK_SECONDS
        return QUIET_SECONDS if ears.wake is not None else BLOCK_SECONDS

    async def close(self) -> None:
        """Close it."""
        await asyncio.sleep(0.02)
        self._of.recordings.discard(self)


def speak(world: World, chance: float) -> None:
    """Let a child press the talk button and say something; the cloud does and answers it, or not."""
    rng = random.Random(chance)  # noqa: S311  # a simulation
    life, ears = world.machine.life, getattr(world.machine.agent, "_ears", None)
    if ears is None or life is None:
        return
    world.observer.count("utterances")
    world.observer.promises.touch()
    kind, seconds = rng.choice(KINDS), rng.uniform(0.2, 6.0)
    begin = world.loop.time() + BEFORE_SECONDS
    world.machine.sounds.said = (begin, begin + seconds)

    async def press() -> None:
        with contextlib.suppress(Exception):  # somebody is listened to already
            await ears.listen(held=kind == "hold")

    def let_go() -> None:
        dispatch = getattr(world.machine.agent, "_dispatch", None)
        if life.dead or dispatch is None:
            return
        if kind == "hold":
            ears.release()
        elif kind == "twice":
            _keep(world, ears.cancel())
        elif kind == "off":
            _keep(world, _turn_off(world, dispatch))
            turn_on = functools.partial(_turn_on, world)
            world.later(rng.uniform(5.0, 60.0), turn_on)

    context = _context(world)
    world.machine.buried.append(world.loop.create_task(press(), context=context))
    until = seconds + 0.2 if kind in {"hold", "twice"} else seconds * rng.random()
    world.loop.call_later(BEFORE_SECONDS + until, let_go, context=context)
    if rng.random() < 0.7:
        answer_later(world, rng, BEFORE_SECONDS + seconds + 1.0)


def say_nothing(world: World, _chance: float) -> None:
    """Let a child press the talk button, and say nothing."""
    ears = getattr(world.machine.agent, "_ears", None)
    if ears is None or world.machine.life is None:
        return

    async def press() -> None:
        with contextlib.suppress(Exception):  # somebody is listened to already
            await ears.listen(held=False)

    world.observer.promises.touch()
    _keep(world, press())


def answer_later(world: World, rng: random.Random, seconds: float) -> None:
    """Let the cloud answer what was said by then, if it has it."""
    world.later(seconds + rng.uniform(*CLOUD_SECONDS), lambda: _answer(world, rng))


async def _turn_off(world: World, dispatch: Any) -> None:
    answer = await dispatch.request("PUT", "microphone", "false", local=True)
    if answer.code == Code.CHANGED:
        world.observer.hear_mute(world.machine)


def _turn_on(world: World) -> None:
    dispatch = getattr(world.machine.agent, "_dispatch", None)
    if dispatch is not None and world.machine.life is not None:
        _keep(world, dispatch.request("PUT", "microphone", "true", local=True))


def _context(world: World) -> contextvars.Context:
    context = contextvars.Context()
    context.run(CURRENT.set, world.machine.life)
    context.run(CURRENT_MACHINE.set, world.machine)
    return context


def _keep(world: World, work: Any) -> None:
    world.machine.buried.append(world.loop.create_task(work, context=_context(world)))


def _answer(world: World, rng: random.Random) -> None:
    """Do what the cloud has understood of the last utterance that it has, and say so."""
    gateway, uuid = world.cloud.gateway, world.machine.name
    if gateway is None:
        return
    number, result = world.observer.heard, rng.choice(list(Result))

    async def work() -> None:
        with contextlib.suppress(Exception):  # how it failed is told to the app
            if result is Result.DONE:
                await gateway.control(uuid, "play", "PUT", rng.choice(TITLES))
            await Ear(gateway.sessions).answer(uuid, UtteranceAnswer(number, result))

    task = world.cloud.run(work())
    if task is not None:
        world.cloud.buried.append(task)


def bind_microphone() -> None:
    """Put the simulated microphone in the driver's place, for the rest of the process."""
    names: Any = machine.microphone
    names.Recording = SimRecording
