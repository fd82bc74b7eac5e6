"""One utterance, sent while it is spoken: blocks → Speex frames → segments → the link.

Voice is live: what cannot be sent now is dropped, not kept. At most `QUEUE_SEGMENTS` wait in memory for the
cloud's answers; one more, or a lost link, ends the utterance, and nothing of it is sent any more. The cloud
takes an utterance without its last segment for none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from agent.link import Link, LinkError, ReportRejectedError
from agent.settings import VoiceSettings
from audio.errors import AudioError, SpeexUnavailableError
from audio.resample import Resampler
from audio.speex import SpeexEncoder
from audio.vad import RATE as CAPTURE_RATE
from wire.voice import FRAME_SECONDS, Segmenter, VoiceSegment, unpack_frames

# 0.9 s of narrowband speech; a link that is further behind would bring the answer too late.
QUEUE_SEGMENTS = 3
# The cloud answers in milliseconds; a link that needs longer is as good as lost for speech.
SEGMENT_SECONDS = 3.0

_log = logging.getLogger(__name__)


class Drop(StrEnum):
    """Why an utterance was dropped; the values are counted in ``status``."""

    OVERFLOW = "overflow"
    """The link is slower than speech."""
    LOST = "lost"
    """The link is down, or the cloud refuses."""
    ENDED = "ended"
    """The child or a fault of the microphone ended it."""
    CODEC = "codec"
    """libspeex or libspeexdsp is missing."""


DropListener = Callable[[Drop, str], None]
"""Called with the reason, and with words for people."""


class SpeexFrames:
    """Blocks of 16,000 samples/s to frames of ``rate`` (8,000 or 16,000)."""

    def __init__(self, rate: int, quality: int) -> None:
        """Raise SpeexUnavailableError or AudioError if a library is missing."""
        self._encoder = SpeexEncoder(rate, quality)
        self._convert: Callable[[bytes], bytes] = bytes
        if rate != CAPTURE_RATE:
            self._convert = Resampler(CAPTURE_RATE, rate).convert
        self._rest = b""

    def add(self, block: bytes) -> list[bytes]:
        """Return the frames that this block completes."""
        self._rest += self._convert(block)
        size = self._encoder.frame_bytes
        count = len(self._rest) // size
        whole, self._rest = self._rest[: count * size], self._rest[count * size :]
        return [self._encoder.encode(whole[n : n + size]) for n in range(0, len(whole), size)]

    def finish(self) -> list[bytes]:
        """Return the last frame, filled up with silence; the encoder is closed."""
        rest, self._rest = self._rest, b""
        frames = (
            [self._encoder.encode(rest.ljust(self._encoder.frame_bytes, b"\0"))] if rest else []
        )
        self._encoder.close()
        return frames


class LiveUtterance:
    """One utterance on its way; add blocks, then finish or drop it."""

    def __init__(
        self,
        link: Link,
        settings: VoiceSettings,
        number: int,
        on_drop: DropListener,
        on_segment: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """Send on ``link`` as utterance ``number``.

        ``on_drop`` is called once if it fails by itself, ``on_segment`` with the number of segments that the
        cloud has acknowledged.

        Raises:
            SpeexUnavailableError, AudioError: a library of the codec is missing.
        """
        self.id = number
        self.segments = 0
        """How many the cloud has acknowledged."""
        self.size = 0
        """Bytes of frames that were sent; what was not acknowledged may have arrived as well."""
        self.seconds = 0.0
        """How long these are."""
        self.dropped: Drop | None = None
        self._link = link
        self._key = settings.style.report_key
        self._on_drop, self._on_segment = on_drop, on_segment
        self._frames = SpeexFrames(settings.band.rate, settings.quality)
        self._segmenter = Segmenter(number, settings.band.rate, settings.style)
        self._waiting: asyncio.Queue[VoiceSegment] = asyncio.Queue()
        self._early = 0
        """How many of those that wait came all at once, with the begin."""
        self._task = asyncio.create_task(self._send())

    def add_all(self, blocks: Iterable[bytes], *, begins: bool = False) -> None:
        """Add blocks; ``begins``: they are the sound until the begin was noticed.

        That comes all at once, seconds of it after a wake word that was heard late, and is late by nobody's fault: its
        segments wait beside `QUEUE_SEGMENTS` of what follows.
        """
        for block in blocks:
            before = self._waiting.qsize()
            self.add(block)
            self._early += self._waiting.qsize() - before if begins else 0

    def add(self, block: bytes) -> None:
        """Encode one block of 640 bytes; a segment that it fills is sent at once."""
        if self.dropped is None:
            self._queue(self._frames.add(block))

    def _queue(self, frames: list[bytes]) -> None:
        for frame in frames:
            segment = self._segmenter.add(frame)
            if segment is not None:
                self._put(segment)

    def _put(self, segment: VoiceSegment) -> None:
        if self.dropped is not None:
            return
        if self._waiting.qsize() - self._early >= QUEUE_SEGMENTS:
            self._fail(Drop.OVERFLOW, f"{QUEUE_SEGMENTS} segments wait for the cloud's answers")
        else:
            self._waiting.put_nowait(segment)

    async def finish(self) -> bool:
        """Send the rest and the end; return whether the cloud has acknowledged all of it."""
        if self.dropped is None:
            self._queue(self._frames.finish())
            # Nothing follows these that could be late: they may wait for their turn.
            for segment in self._segmenter.finish():
                self._waiting.put_nowait(segment)
        await asyncio.wait([self._task])
        return self.dropped is None

    def drop(self) -> bool:
        """Send nothing of it any more; return whether that changed anything.

        What the cloud has already is no utterance without its end.
        """
        if self.dropped is not None or self._task.done():
            return False
        self.dropped = Drop.ENDED
        self._task.cancel()
        return True

    async def close(self) -> None:
        """Drop it unless it has been sent, and wait until nothing of it runs any more."""
        self.drop()
        await asyncio.wait([self._task])

    def _fail(self, reason: Drop, why: str) -> None:
        if self.dropped is None:
            self.dropped = reason
            self._task.cancel()
            _log.warning("voice: utterance %d is dropped: %s", self.id, why)
            self._on_drop(reason, why)

    async def _send(self) -> None:
        while True:
            segment = await self._waiting.get()
            self._early = max(0, self._early - 1)
            self.size += len(segment.voice_data)
            self.seconds += len(unpack_frames(segment.voice_data)) * FRAME_SECONDS
            try:
                async with asyncio.timeout(SEGMENT_SECONDS):
                    await self._link.report({self._key: segment.to_json()})
            except TimeoutError:
                self._fail(Drop.LOST, f"no answer from the cloud in {SEGMENT_SECONDS:g} s")
                return
            except (LinkError, ReportRejectedError) as error:
                self._fail(Drop.LOST, str(error))
                return
            self.segments += 1
            self._on_segment(self.segments)
            if segment.eof:
                return


class LiveSender:
    """Begins utterances on one link, and counts how they ended."""

    def __init__(self, link: Link, settings: VoiceSettings, next_id: Callable[[], int]) -> None:
        """Number them by ``next_id``, which other utterances of this device share."""
        self._link = link
        self._settings = settings
        self._next_id = next_id
        self.counts: dict[str, int] = {}

    @property
    def is_up(self) -> bool:
        """Whether the cloud can hear just now."""
        return self._link.registered.is_set()

    def begin(
        self, on_drop: DropListener, on_segment: Callable[[int], None] = lambda _count: None
    ) -> LiveUtterance:
        """Begin one; raises AudioError or SpeexUnavailableError without the codec's libraries."""
        try:
            return LiveUtterance(self._link, self._settings, self._next_id(), on_drop, on_segment)
        except (AudioError, SpeexUnavailableError):
            self.count(Drop.CODEC)
            raise

    def count(self, end: str) -> None:
        """Count one more utterance that ended so: ``sent`` or a reason of `Drop`."""
        self.counts[end] = self.counts.get(end, 0) + 1

    def to_json(self) -> Mapping[str, object]:
        """Render the counters for ``status``."""
        return dict(self.counts)
