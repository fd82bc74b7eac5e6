"""Samples of the formats of WAV files, as signed 16 bit: computing only, without numpy."""

from __future__ import annotations

import array
import sys
from collections.abc import Callable
from functools import cache

from audio.errors import AudioError
from audio.pcm import SAMPLE_BYTES
from audio.wav_chunks import A_LAW, FLOAT, MU_LAW, PCM, Form

_PEAK = 32767
TAKEN = "PCM of 8, 16, 24 or 32 bit, float of 32 or 64 bit, A-law or mu-law"


def to_16_bit(form: Form, sound: bytes) -> array.array[int]:
    """Return the samples, interleaved as they were; raises AudioError for another format."""
    decode = _DECODERS.get((form.tag, form.width))
    if decode is None or form.bits > 8 * form.width:
        what = form.name if form.tag not in {PCM, FLOAT} else f"{form.bits} bit"
        raise AudioError(f"WAV format: got {what}, expected {TAKEN}")
    return decode(sound[: len(sound) // form.width * form.width])


def mix(samples: array.array[int], channels: int) -> array.array[int]:
    """Return one channel, the mean of all; a last frame that is cut short is left out."""
    if channels == 1:
        return samples
    whole = len(samples) // channels * channels
    by_channel = (samples[channel:whole:channels] for channel in range(channels))
    return array.array("h", (sum(group) // channels for group in zip(*by_channel, strict=True)))


def _from_little_endian(kind: str, sound: bytes) -> array.array[int]:
    samples = array.array(kind, sound)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _from_16_bit(sound: bytes) -> array.array[int]:
    return _from_little_endian("h", sound)


def _from_high_bytes(width: int) -> Callable[[bytes], array.array[int]]:
    def decode(sound: bytes) -> array.array[int]:
        high = bytearray(len(sound) // width * SAMPLE_BYTES)
        high[0::2], high[1::2] = sound[width - 2 :: width], sound[width - 1 :: width]
        return _from_16_bit(bytes(high))

    return decode


def _from_float(kind: str) -> Callable[[bytes], array.array[int]]:
    def decode(sound: bytes) -> array.array[int]:
        return array.array("h", map(_round, _from_little_endian(kind, sound)))

    return decode


def _round(value: float) -> int:
    """Return a sample of -1.0 to 1.0 in 16 bit; beyond that it is clipped, and no number is 0."""
    return round(max(-1.0, min(1.0, value)) * _PEAK) if value == value else 0  # noqa: PLR0124


def _from_table(make: Callable[[int], int]) -> Callable[[bytes], array.array[int]]:
    @cache
    def table() -> list[int]:
        return [make(code) for code in range(256)]

    def decode(sound: bytes) -> array.array[int]:
        return array.array("h", map(table().__getitem__, sound))

    return decode


def _expand_8_bit(code: int) -> int:
    return (code - 128) << 8


def _expand_a_law(code: int) -> int:
    """ITU-T G.711, table 1a."""
    code ^= 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = (2 * mantissa + 33 << exponent - 1 if exponent else 2 * mantissa + 1) << 3
    return size if code & 0x80 else -size


def _expand_mu_law(code: int) -> int:
    """ITU-T G.711, table 2a."""
    code = ~code & 0xFF
    size = ((code & 15) * 2 + 33 << ((code >> 4) & 7)) - 33 << 2
    return -size if code & 0x80 else size


_DECODERS: dict[tuple[int, int], Callable[[bytes], array.array[int]]] = {
    (PCM, 1): _from_table(_expand_8_bit),
    (PCM, 2): _from_16_bit,
    (PCM, 3): _from_high_bytes(3),
    (PCM, 4): _from_high_bytes(4),
    (FLOAT, 4): _from_float("f"),
    (FLOAT, 8): _from_float("d"),
    (A_LAW, 1): _from_table(_expand_a_law),
    (MU_LAW, 1): _from_table(_expand_mu_law),
}
