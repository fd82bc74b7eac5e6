"""Decodes utterances to samples, and reduces samples to a waveform.

No I/O; decoding needs libspeex (`audio.speex`). Samples are little-endian signed 16-bit mono PCM.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise

from audio.errors import SpeexDecodeError
from audio.pcm import Pcm
from audio.speex import SpeexDecoder
from staging.store.utterances import Utterance

# Columns of a waveform in the console.
PEAKS = 120
# Frames that are decoded in one go: a millisecond or two.
TURN_FRAMES = 50
_FULL_SCALE = 32768


class TooLongError(Exception):
    """There was no time to decode all of an utterance."""


def decode(utterance: Utterance, is_late: Callable[[], bool] = lambda: False) -> tuple[Pcm, int]:
    """Decode an utterance; returns its samples and the number of frames that libspeex rejected.

    A rejected frame becomes 20 ms of silence. ``is_late()``: whether to give up, which is asked now and then.

    Raises:
        TooLongError: it was late.
    """
    pieces: list[bytes] = []
    damaged = 0
    with SpeexDecoder(utterance.rate) as decoder:
        for number, frame in enumerate(utterance.frames()):
            if number % TURN_FRAMES == 0:
                if is_late():
                    raise TooLongError
                time.sleep(0)  # lets the event loop have the interpreter
            try:
                pieces.append(decoder.decode(frame))
            except SpeexDecodeError:
                damaged += 1
                pieces.append(bytes(decoder.frame_bytes))
    return Pcm(utterance.rate, b"".join(pieces)), damaged


def peaks(samples: bytes, columns: int = PEAKS) -> list[float]:
    """Return the peak, 0 to 1, of each of ``columns`` equal parts; [] for no samples."""
    values = array("h", samples)
    if not values:
        return []
    columns = min(columns, len(values))
    edges = [index * len(values) // columns for index in range(columns + 1)]
    return [_peak(values[low:high]) for low, high in pairwise(edges)]


def _peak(part: Sequence[int]) -> float:
    return round(max(*part, -min(part)) / _FULL_SCALE, 3)
