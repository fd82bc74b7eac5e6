"""An utterance's frames to a WAV file in memory, as recognisers take it."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

from staging.recognition.reassembly import Utterance
from wire.speex import SAMPLE_BYTES, SpeexDecoder


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples, native-endian signed 16 bit, at ``rate`` samples/s."""

    rate: int
    samples: bytes

    @property
    def seconds(self) -> float:
        """The length."""
        return len(self.samples) / SAMPLE_BYTES / self.rate

    def to_wav(self) -> bytes:
        """Render a WAV file."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(SAMPLE_BYTES)
            out.setframerate(self.rate)
            out.writeframes(self.samples)
        return buffer.getvalue()


def decode(utterance: Utterance) -> Sound:
    """Decode an utterance; a lost segment is silence as long as the longest that came.

    Raises:
        SpeexDecodeError: libspeex calls a frame corrupt.
        SpeexUnavailableError: libspeex is not installed.
    """
    longest = max((len(frames) for frames in utterance.segments if frames), default=0)
    parts: list[bytes] = []
    with SpeexDecoder(utterance.rate) as decoder:
        for frames in utterance.segments:
            if frames is None:
                parts.append(bytes(longest * decoder.frame_bytes))
            else:
                parts += [decoder.decode(frame) for frame in frames]
    return Sound(utterance.rate, b"".join(parts))
