"""Samples in memory, as every part of the product hands them on."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_BYTES = 2
# What Speex takes, and so what every utterance has: narrowband and wideband, samples/s.
SPEEX_RATES = (8000, 16000)


@dataclass(frozen=True, slots=True)
class Pcm:
    """Mono samples, native-endian signed 16 bit, at ``rate`` samples/s."""

    rate: int
    samples: bytes

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return len(self.samples) / SAMPLE_BYTES / self.rate
