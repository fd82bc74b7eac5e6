"""Records one take of a wake word from the machine's microphone, which the running agent lends for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.local import SOCKET_NAME
from agent.local.client import AgentUnreachableError, LocalClient
from agent.settings import Settings
from audio.endpoint import Endpointer, EndpointRules, Event
from audio.resample import resample
from audio.vad import RATE, EnergyVad
from audio.wav import read_wav
from machine.capture_back_ends import find_back_end
from machine.cue_player import ProgramCuePlayer
from machine.errors import UnavailableError
from machine.microphone import Microphone, MicrophoneError
from resources.announce.cues import Cue
from resources.announce.files import TONES, packaged

# After the tone; a family looks at each other first.
TAKE_SECONDS = 6.0
# The microphone is open before the tone, so that no syllable is lost, and hears it.
OPEN_SECONDS = 6.0


class LentMicrophone:
    """The microphone, lent by the agent of a state folder if one runs."""

    def __init__(self, settings: Settings, state: Path) -> None:
        """Record with what ``settings`` name."""
        self._settings = settings
        self._client = LocalClient(state / SOCKET_NAME)

    def record(self) -> bytes:
        """Return what was said after the tone, with a moment before and after; raises UnavailableError."""
        self._ask("pause")
        return asyncio.run(self._record())

    def give_back(self) -> bool:
        """Let the agent read the words again; return whether it listens for any."""
        return self._ask("again")

    def _ask(self, action: str) -> bool:
        with contextlib.suppress(AgentUnreachableError):
            answer = self._client.request("POST", "/wake", action.encode())
            if answer.status >= 300:  # an agent before this one is no reason either
                return False
            return b"true" in answer.body
        return False

    async def _record(self) -> bytes:
        voice = self._settings.voice
        microphone = Microphone(find_back_end(voice.microphone, voice.capture))
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
        read = read_wav(path.read_bytes())
        yield read.samples if read.rate == RATE else resample(read.samples, read.rate, RATE)
