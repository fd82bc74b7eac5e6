"""Sends an utterance from a file to the cloud: samples → Speex frames → segments → the link.

Nothing is queued on disk, and only one segment is buffered. If the link is down, the utterance is dropped
and the caller gets an error. What a microphone hears is sent by `agent.voice.stream`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator

from agent.link import Link, LinkError, ReportRejectedError
from agent.settings import VoiceSettings
from audio.pcm import Pcm
from audio.speex import SpeexEncoder
from wire.records import dataclass
from wire.voice import (
    ID_FIRST,
    ID_LAST,
    Segmenter,
    VoiceSegment,
    next_utterance_id,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Utterance:
    """The result of sending an utterance.

    Attributes:
        cut: whether it was cut at the limit.
        size: bytes of frames that were sent.
        whole: whether the cloud has all of it.
    """

    id: int
    segments: int
    seconds: float
    cut: bool
    size: int = 0
    whole: bool = True

    def to_json(self) -> dict[str, object]:
        """Render for the local API."""
        return {
            "id": self.id, "segments": self.segments, "seconds": round(self.seconds, 3),
            "cut": self.cut,
        }  # fmt: skip


class VoiceSender:
    """Sends one utterance at a time."""

    def __init__(self, link: Link, settings: VoiceSettings) -> None:
        """Send on ``link``; the first id is random, as in the document."""
        self._link = link
        self._settings = settings
        self._last_id = random.randint(ID_FIRST, ID_LAST)  # noqa: S311  # a number, not a secret
        self._lock = asyncio.Lock()
        self.on_sent: Callable[[Utterance], None] = lambda _sent: None
        """Called with each sound of which something was sent, also if the rest was dropped."""

    def next_id(self) -> int:
        """Return the next utterance's number; files and the microphone share them."""
        self._last_id = next_utterance_id(self._last_id)
        return self._last_id

    async def send(self, sound: Pcm) -> Utterance:
        """Send a sound as one utterance; returns when the cloud has received all of it.

        A sound is cut at the settings' limit. Raises LinkError or ReportRejectedError; the
        rest of the utterance is then dropped.
        """
        async with self._lock:
            number = self.next_id()
            limit = round(self._settings.max_seconds * sound.rate) * 2
            taken = Pcm(sound.rate, sound.samples[:limit])
            count = size = 0
            cut = len(taken.samples) < len(sound.samples)
            try:
                for segment in self._segments(taken, number):
                    size += len(segment.voice_data)
                    await self._link.report({self._settings.style.report_key: segment.to_json()})
                    count += 1
            except (LinkError, ReportRejectedError):
                if size:
                    self.on_sent(Utterance(number, count, taken.seconds, cut, size, whole=False))
                raise
            sent = Utterance(number, count, taken.seconds, cut, size)
            self.on_sent(sent)
            if cut:
                _log.warning("voice: an utterance was cut at %g s", self._settings.max_seconds)
            return sent

    def _segments(self, sound: Pcm, number: int) -> Iterator[VoiceSegment]:
        segmenter = Segmenter(number, sound.rate, self._settings.style)
        with SpeexEncoder(sound.rate, self._settings.quality) as encoder:
            for start in range(0, len(sound.samples), encoder.frame_bytes):
                piece = sound.samples[start : start + encoder.frame_bytes]
                # The last frame is padded with silence.
                segment = segmenter.add(encoder.encode(piece.ljust(encoder.frame_bytes, b"\0")))
                if segment is not None:
                    yield segment
        yield from segmenter.finish()
