"""The machine's ear as the daemon holds it: nothing of it is imported or started before the first use.

A start of the agent, and a machine that never listens, pay for the switch alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from agent.link import Link
from agent.settings import VoiceSettings
from agent.voice.gate import Gate, OpenGate
from machine.button_settings import LightSettings
from machine.microphone_switch import MicrophoneSwitch
from resources.announce.voice import Voice
from resources.datapoint import DataPoint
from resources.points.listening import ListeningPoint
from resources.points.microphone import MicrophonePoint
from resources.points.play import PlayPoint
from wire.family import Why

if TYPE_CHECKING:
    from agent.voice.listener import Listener, Recall
    from agent.voice.session import Session
    from agent.voice.wake import Wake
    from machine.light import Light
    from machine.microphone import Microphone
    from resources.announce.cues import Cue
    from wire.answers import UtteranceAnswer

Say = Callable[["Cue"], "asyncio.Future[bool]"]
Hold = Callable[[], AbstractAsyncContextManager[None]]

# Seconds in which a refusal to listen shows: it needs nothing from outside.
REFUSED_SECONDS = 0.1


class Ears:
    """Listens when it is asked to, unless the microphone's switch is off."""

    def __init__(
        self,
        link: Link,
        settings: VoiceSettings,
        next_id: Callable[[], int],
        *,
        switch: MicrophoneSwitch,
        hold: Hold,
    ) -> None:
        """Send what is heard on ``link``.

        Args:
            link: the link to the cloud.
            settings: which microphone, and how utterances are sent.
            next_id: numbers utterances.
            switch: whether the microphone may be opened.
            hold: silences the story for as long as its block lasts.
        """
        self._link = link
        self._settings = settings
        self._next_id = next_id
        self._switch = switch
        self._hold = hold
        self.say: Say = _say_nothing
        """Lets a cue sound; set before the first use. A machine without cues keeps this one, which is silent."""
        self.gate: Gate = OpenGate()
        """Asked before the microphone is opened, by whatever opens it; set before the first use."""
        self.mouth: Voice | None = None
        """Says titles' names; set before the first use."""
        self.on_ended: Callable[[Session], None] = lambda _session: None
        """Called with how each utterance went, and each time of listening without one."""
        self._started: set[asyncio.Task[Session]] = set()
        self.light: Light | None = None
        """Is on while a microphone is open, whatever opens it; set before the first use. None: there is none."""
        self._listener: Listener | None = None
        self.microphone: Microphone | None = None
        """What is listened with; made at the first use, unless a wake word has made it."""
        self.wake: Wake | None = None
        """What listens for the wake word; None without one."""
        switch.close_first = self._turn

    async def listen(
        self, *, held: bool = False, recall: Recall | None = None, why: Why = Why.BUTTON
    ) -> Session:
        """Listen until somebody has spoken; return how it ended.

        Args:
            held: listen until `release` instead.
            why: what opens the microphone, for the ledger.
            recall: the sound since a wake word (`agent.voice.listener.Listener.listen`).

        Raises:
            ListeningError: a session goes on already.
        """
        return await self._made().listen(held=held, recall=recall, why=why)

    def hold(self) -> None:
        """Take all that this session hears for speech, until `release`; without a session nothing happens."""
        if self._listener is not None:
            self._listener.hold()

    def release(self) -> bool:
        """End what was held: the rest is sent, and the answer awaited. Return whether anything was held."""
        return self._listener is not None and self._listener.release()

    async def start(self) -> Session | None:
        """Begin to listen as the cloud wishes, and do not wait for the end.

        Returns:
            How it ended, if it did at once, because the microphone is off for instance.

        Raises:
            ListeningError: somebody is being listened to.
        """
        task = asyncio.create_task(self.listen(why=Why.CLOUD))
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        await asyncio.wait([task], timeout=REFUSED_SECONDS)
        return task.result() if task.done() else None

    async def cancel(self) -> bool:
        """End listening, and wait until it has ended; return whether there was any."""
        return self._listener is not None and await self._listener.cancel()

    def note_order(self) -> None:
        """Take an order that has come as the cloud's answer, if one is awaited."""
        if self._listener is not None:
            self._listener.note_order()

    def note_answer(self, answer: UtteranceAnswer) -> None:
        """Take the cloud's answer to an utterance; a machine that has heard nothing has no use for it."""
        if self._listener is not None:
            self._listener.note_answer(answer)

    @property
    def listens(self) -> bool:
        """Whether somebody is being listened to, or waits for the answer."""
        return self._listener is not None and self._listener.busy

    @property
    def hears(self) -> bool:
        """Whether the microphone is open for somebody who speaks."""
        return self._listener is not None and self._listener.hears

    def status(self) -> Mapping[str, object]:
        """Return what is shown in ``story-agent status``."""
        if self._listener is not None:
            told = self._listener.to_json()
        else:
            told = {"state": "idle" if self._switch.is_on else "muted"}
        budget, light = self.gate.status(), self.light
        return {
            **told,
            **({"budget": budget} if budget else {}),
            **({"light": light.state} if light is not None else {}),
            **({"wake": self.wake.status()} if self.wake is not None else {}),
        }

    def refusal(self) -> str | None:
        """Return why no microphone may be opened now, for people; None if one may: its switch, and who else decides."""
        return self.gate.refusal() if self._switch.is_on else "the microphone is off"

    @property
    def may_open(self) -> bool:
        """Whether the microphone may be opened."""
        return self.refusal() is None

    async def close(self) -> None:
        """Close the microphone; called when the agent stops."""
        if self._listener is not None:
            await self._listener.close()

    async def _turn(self, *, on: bool) -> None:
        if self._listener is not None:
            await self._listener.mute(muted=not on)
        if self.wake is not None:
            await self.wake.adjust()

    def _made(self) -> Listener:
        if self._listener is None:
            self._listener = self._make()
        return self._listener

    def _make(self) -> Listener:
        from agent.voice.listener import Listener  # noqa: PLC0415  # all of these: see the module's head
        from agent.voice.stream import LiveSender  # noqa: PLC0415
        from audio.endpoint import EndpointRules  # noqa: PLC0415
        from audio.vad import find_vad  # noqa: PLC0415
        from machine.capture_back_ends import find_back_end  # noqa: PLC0415
        from machine.microphone import Microphone  # noqa: PLC0415

        settings = self._settings
        if self.microphone is None:
            back_end = find_back_end(settings.microphone, settings.capture)
            self.microphone = Microphone(back_end, light=self.light)
        listener = Listener(
            self.microphone,
            lambda: find_vad(settings.vad),
            LiveSender(self._link, settings, self._next_id),
            hold=self._hold,
            say=self.say,
            rules=EndpointRules(pause=settings.pause_seconds),
            muted=not self._switch.is_on,
        )
        listener.gate = self.gate
        listener.on_ended = self.on_ended
        if self.mouth is not None:
            from agent.voice.names import Names  # noqa: PLC0415

            listener.namer = Names(self.mouth)
        return listener


def build_ears(
    link: Link,
    settings: VoiceSettings,
    next_id: Callable[[], int],
    points: Mapping[str, DataPoint],
    light: LightSettings | None = None,
) -> Ears | None:
    """Return the ear of a machine with these data points and this light, None if it has no switch for it."""
    microphone, play = points.get("microphone"), points.get("play")
    if not isinstance(microphone, MicrophonePoint):
        return None
    hold = play.teller.hold if isinstance(play, PlayPoint) else contextlib.nullcontext
    ears = Ears(link, settings, next_id, switch=microphone.switch, hold=hold)
    if isinstance(play, PlayPoint) and play.voice is not None:
        ears.say, ears.mouth = _beside_a_hand(play.voice), play.voice
        play.voice.hears = lambda: ears.hears
    rules = points.get("listening")
    if isinstance(rules, ListeningPoint):
        ears.gate = rules.times
    if light is not None and light != LightSettings():
        from machine.light import find_light  # noqa: PLC0415  # most machines have none

        ears.light = find_light(light)
    return ears


def _beside_a_hand(voice: Voice) -> Say:
    """Let ``voice`` say what listening needs, and know that somebody is there: the answer may be told at night."""

    def say(cue: Cue) -> asyncio.Future[bool]:
        voice.note_hand()
        return voice.say(cue)

    return say


def _say_nothing(_cue: Cue) -> asyncio.Future[bool]:
    said: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    said.set_result(False)
    return said
