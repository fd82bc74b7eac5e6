"""Records one take of a wake word from the machine's microphone, which the running agent lends for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.local import SOCKET_NAME
from agent.local.client import AgentUnreachableError, LocalAnswer, LocalClient
from agent.settings import Settings
from agent.voice import wake_texts as texts
from audio.endpoint import Endpointer, EndpointRules, Event
from audio.errors import AudioError
from audio.resample import resample
from audio.vad import RATE, EnergyVad
from audio.wav import read_wav
from base.clock import TrustedTime
from base.files import read_given
from machine.capture_back_ends import find_back_end
from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from machine.light import find_light
from machine.microphone import Microphone, MicrophoneError
from machine.microphone_switch import MicrophoneSwitch
from resources.announce.cues import Cue
from resources.announce.files import TONES, packaged
from resources.announce.settings import Language
from resources.times.listening import ListeningTimes
from wire.exchange import WAV_LIMIT

# After the tone; a family looks at each other first.
TAKE_SECONDS = 6.0
# The microphone is open before the tone, so that no syllable is lost, and hears it.
OPEN_SECONDS = 6.0
# How soon a take ends after the microphone's switch was turned off.
SWITCH_SECONDS = 0.1
# HTTP: done; and the refusals of an agent that knows the route.
OK, REFUSALS = 200, frozenset({403, 409})


class LentMicrophone:
    """The microphone, lent by the agent of a state folder if one runs."""

    def __init__(self, settings: Settings, state: Path, language: Language) -> None:
        """Record with what ``settings`` name; what is refused is said in ``language``."""
        self._settings = settings
        self._state = state
        self._language = language
        self._client = LocalClient(state / SOCKET_NAME)

    def record(self) -> bytes:
        """Return what was said after the tone, with a moment before and after.

        Raises:
            UnavailableError: the microphone gives nothing, or must not be opened: asked before each take, and the
                switch while it is recorded.
        """
        self._borrow()
        return asyncio.run(self._record())

    def give_back(self) -> bool:
        """Let the agent read the words again; return whether it listens for any."""
        answer = self._ask("again")
        return answer is not None and answer.status == OK and b"true" in answer.body

    def _ask(self, action: str) -> LocalAnswer | None:
        with contextlib.suppress(AgentUnreachableError):
            return self._client.request("POST", "/wake", action.encode())
        return None

    def _borrow(self) -> None:
        """Ask the agent for the microphone; without one, or with one before this one, its files."""
        self._obey_switch()
        answer = self._ask("pause")
        if answer is not None and answer.status in REFUSALS:
            raise self._refused(texts.LENT_NOT, answer.text)
        if answer is None or answer.status != OK:
            reason = ListeningTimes(TrustedTime(), self._state).refusal()
            if reason is not None:
                raise self._refused(texts.RULES, reason)

    def _obey_switch(self) -> None:
        if not MicrophoneSwitch(self._state / "microphone-off").is_on:
            raise self._refused(texts.MUTED)

    def _refused(self, text: texts.Texts, reason: str = "") -> UnavailableError:
        return UnavailableError(text[self._language].format(reason=reason))

    async def _until_off(self) -> None:
        """Raise UnavailableError when somebody closes the microphone."""
        while True:
            self._obey_switch()
            await asyncio.sleep(SWITCH_SECONDS)

    async def _record(self) -> bytes:
        recording = asyncio.create_task(self._one_take())
        switch = asyncio.create_task(self._until_off())
        both = (recording, switch)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        if not switch.cancelled():
            switch.result()
        return recording.result()

    async def _one_take(self) -> bytes:
        voice = self._settings.voice
        back_end = find_back_end(voice.microphone, voice.capture)
        microphone = Microphone(back_end, light=find_light(self._settings.light))
        take = _OneTake()
        task = asyncio.create_task(microphone.keep_open(take.add, take.fail))
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await take.opened.wait()
            with contextlib.suppress(UnavailableError):  # without a loudspeaker there is the text
                await ProgramCuePlayer().play(packaged(Cue.LISTEN, TONES), 0.0)
            take.begin()
            with contextlib.suppress(TimeoutError):  # what there is says what is wrong with it
                async with asyncio.timeout(TAKE_SECONDS):
                    await take.ended.wait()
        except TimeoutError as error:
            reason = take.fault or f"the microphone gave nothing for {OPEN_SECONDS:g} s"
            raise UnavailableError(reason) from error
        finally:
            task.cancel()
            await asyncio.wait([task])
        return bytes(take.sound)


class _OneTake:
    """Blocks from the tone to the silence after what was said."""

    def __init__(self) -> None:
        self.opened, self.ended = asyncio.Event(), asyncio.Event()
        self.sound = bytearray()
        self.fault = ""
        self._begun = False
        self._endpointer = Endpointer(EnergyVad(), EndpointRules())

    def begin(self) -> None:
        self._begun = True

    def add(self, block: bytes) -> None:
        self.opened.set()
        if not self._begun:
            self._endpointer.keep(block)
            return
        self.sound += block
        if self._endpointer.add(block).event in {Event.END, Event.LIMIT}:
            self.ended.set()

    def fail(self, error: MicrophoneError) -> None:
        self.fault = str(error)


def read_files(paths: Sequence[Path]) -> Iterator[bytes]:
    """Yield the samples of WAV files, as a microphone would have given them; raises AudioError, OSError."""
    for path in paths:
        try:
            read = read_wav(read_given(path, WAV_LIMIT))
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from error
        yield read.samples if read.rate == RATE else resample(read.samples, read.rate, RATE)
