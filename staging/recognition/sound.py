"""Decodes an utterance's frames to samples, the recogniser's input."""

from __future__ import annotations

from audio.pcm import Pcm
from audio.speex import SpeexDecoder
from staging.recognition.reassembly import Utterance


def decode(utterance: Utterance) -> Pcm:
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
