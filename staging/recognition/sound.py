"""Decodes an utterance's frames to a WAV file in memory, the recogniser's input."""

from __future__ import annotations

from audio.pcm import Pcm
from audio.speex import SpeexDecoder
from staging.recognition.reassembly import Utterance


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples, native-endian signed 16 bit, at ``rate`` samples/s."""

    rate: int
    samples: bytes

    @property
    def seconds(self) -> float:
        """The duration."""
        return len(self.samples) / SAMPLE_BYTES / self.rate

    def to_wav(self) -> bytes:
        """Return the sound as a WAV file."""
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(SAMPLE_BYTES)
            out.setframerate(self.rate)
            out.writeframes(self.samples)
        return buffer.getvalue()


def decode(utterance: Utterance) -> Sound:
    """Decode an utterance; a lost segment becomes silence of the longest segment's length.

    Raises:
        SpeexDecodeError: libspeex reports a corrupt frame.
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
    return Pcm(utterance.rate, b"".join(parts))
