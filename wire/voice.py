"""Voice segments: the JSON encoding of an utterance (device protocol, "Voice segment").

An utterance is a sequence of segments with one id. Each carries Speex frames as base64, every frame
after a 4-byte header in one of two styles. The last has ``eof`` 1 and no ``voice_data``.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from wire.errors import FieldError, WireError
from wire.fields import get_int, get_string, is_object
from wire.records import dataclass

RATES = (8000, 16000)
# 20 ms at either rate: 160 samples narrowband, 320 samples wideband.
FRAME_SECONDS = 0.020
# Fifteen narrowband frames at quality 8 (38 + 4 bytes each) fill the document's 630 bytes = 300 ms.
MAX_FRAMES = 15
# Before base64. 840 characters plus the JSON around them fit in one 1,024-byte block (RFC 7959).
LENGTH32_MAX_BYTES = 630
SPX_MAX_BYTES = 597
# Wideband frames reach 106 bytes at quality 10; the limit leaves room for vendors' own modes.
MAX_FRAME_BYTES = 1024
ID_FIRST, ID_LAST = 10000, 109999

_LENGTH32 = struct.Struct("<I")
_SPX_MARKS = {8000: b"SPX", 16000: b"TPX"}


class VoiceError(WireError):
    """A segment's voice data cannot be split into frames, or a frame cannot be packed."""


class HeaderStyle(StrEnum):
    """The two styles of the 4-byte frame header."""

    LENGTH32 = "length32"
    """Little-endian uint32 length (open API document, early 2017)."""
    SPX = "spx"
    """One length byte, then ``SPX`` for 8 kHz or ``TPX`` for 16 kHz (SDK, late 2017)."""

    @property
    def report_key(self) -> str:
        """The report key used by firmware with this style."""
        return "voice_control" if self is HeaderStyle.LENGTH32 else "duer_voice"

    @property
    def max_bytes(self) -> int:
        """The maximum size of a segment's headers and frames in this style, in bytes."""
        return LENGTH32_MAX_BYTES if self is HeaderStyle.LENGTH32 else SPX_MAX_BYTES


@dataclass(frozen=True, slots=True)
class VoiceSegment:
    """One piece of an utterance; ``voice_data`` holds headers and frames, b"" in the last one."""

    id: int
    segment: int
    rate: int
    eof: bool
    voice_data: bytes = b""
    channel: int = 1

    def to_json(self) -> dict[str, object]:
        """Build the value of a report's voice key."""
        value: dict[str, object] = {
            "id": self.id,
            "segment": self.segment,
            "rate": self.rate,
            "channel": self.channel,
            "eof": int(self.eof),
        }
        if self.voice_data:
            value["voice_data"] = base64.b64encode(self.voice_data).decode("ascii")
        return value


def parse_segment(value: object) -> VoiceSegment:
    """Parse the value of a report's voice key.

    Raises:
        WireError: the value is invalid; the message names the member.
    """
    if not is_object(value):
        raise FieldError("voice", value, "a JSON object")
    eof = value.get("eof")
    if not isinstance(eof, int) or eof not in (0, 1):
        raise FieldError("voice.eof", eof, "0 or 1")
    rate = get_int(value, "rate", path="voice.")
    if rate not in RATES:
        raise FieldError("voice.rate", rate, "8000 or 16000")
    return VoiceSegment(
        id=get_int(value, "id", path="voice."),
        segment=get_int(value, "segment", path="voice."),
        rate=rate,
        eof=bool(eof),
        voice_data=_get_voice_data(value, required=not eof),
        channel=get_int(value, "channel", path="voice.", low=1, high=1),
    )


def _get_voice_data(value: Mapping[str, object], *, required: bool) -> bytes:
    if not required and not value.get("voice_data"):
        return b""
    text = get_string(value, "voice_data", path="voice.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FieldError("voice.voice_data", text, "base64") from error


def pack_frame(frame: bytes, style: HeaderStyle, rate: int) -> bytes:
    """Prepend the style's 4-byte header to one Speex frame.

    Raises:
        VoiceError: the frame is empty, or too long for the style's length field.
    """
    limit = 255 if style is HeaderStyle.SPX else MAX_FRAME_BYTES
    if not 0 < len(frame) <= limit:
        raise VoiceError(f"frame: got {len(frame)} bytes, expected 1 to {limit}")
    if style is HeaderStyle.LENGTH32:
        return _LENGTH32.pack(len(frame)) + frame
    return bytes([len(frame)]) + _SPX_MARKS[rate] + frame


def unpack_frames(voice_data: bytes) -> list[bytes]:
    """Split a segment's bytes into Speex frames; each frame's header style is detected.

    Raises:
        VoiceError: a header or frame is truncated, or a length is out of range.
    """
    return list(_iter_frames(voice_data))


def _iter_frames(data: bytes) -> Iterator[bytes]:
    offset = 0
    while offset < len(data):
        header = data[offset : offset + 4]
        if len(header) < 4:
            raise VoiceError(f"frame header at byte {offset}: {len(header)} of 4 bytes")
        # As a uint32 the marks would mean a length of over 5 MB, so the styles are unambiguous.
        spx = header[1:] in _SPX_MARKS.values()
        length = header[0] if spx else _LENGTH32.unpack(header)[0]
        if not 0 < length <= MAX_FRAME_BYTES:
            raise VoiceError(
                f"frame length at byte {offset}: got {length}, expected 1 to {MAX_FRAME_BYTES}"
            )
        frame = data[offset + 4 : offset + 4 + length]
        if len(frame) < length:
            raise VoiceError(f"frame at byte {offset}: {len(frame)} of {length} bytes")
        yield frame
        offset += 4 + length


class Segmenter:
    """Groups one utterance's frames into segments; buffers at most one segment."""

    def __init__(
        self, utterance_id: int, rate: int, style: HeaderStyle, max_frames: int = MAX_FRAMES
    ) -> None:
        """Start an utterance at 8000 or 16000 samples/s; a segment has ``max_frames`` of 20 ms."""
        if rate not in RATES:
            raise FieldError("rate", rate, "8000 or 16000")
        self._next = VoiceSegment(utterance_id, 0, rate, eof=False)
        self._style = style
        self._max_frames = max_frames
        self._packed: list[bytes] = []

    def add(self, frame: bytes) -> VoiceSegment | None:
        """Add a frame; return the segment that it fills, else None.

        A segment leaves with its last frame, not with the first of the next one, since voice is live:
        it is full when another frame as long as this one would exceed its frames or its bytes. A
        frame that is longer than those before it may find no room; what is returned are then those.

        Raises:
            VoiceError: the frame is empty, or too long for any segment; nothing is added.
        """
        packed = pack_frame(frame, self._style, self._next.rate)
        if len(packed) > self._style.max_bytes:
            raise VoiceError(f"frame: got {len(frame)} bytes, too long for any segment")
        before = self._flush() if self._packed and not self._has_room(len(packed)) else None
        self._packed.append(packed)
        if before is not None:
            return before
        return None if self._has_room(len(packed)) else self._flush()

    def _has_room(self, size: int) -> bool:
        held = sum(map(len, self._packed))
        return len(self._packed) < self._max_frames and held + size <= self._style.max_bytes

    def finish(self) -> Sequence[VoiceSegment]:
        """End the utterance; return the remaining segment, if any, and the one with ``eof``."""
        rest = [self._flush()] if self._packed else []
        return [*rest, replace(self._next, eof=True)]

    def _flush(self) -> VoiceSegment:
        segment = replace(self._next, voice_data=b"".join(self._packed))
        self._next = replace(self._next, segment=self._next.segment + 1)
        self._packed.clear()
        return segment


def next_utterance_id(previous: int) -> int:
    """Return the id after ``previous``, wrapping around at the end of the document's range."""
    return ID_FIRST if not ID_FIRST <= previous < ID_LAST else previous + 1


def history_text(segment: VoiceSegment) -> str:
    """Render a segment as in the open API's history (section 4.2): ``{id=1,+rate=8000,+…}``."""
    members = {"id": str(segment.id), "rate": str(segment.rate), "segment": str(segment.segment)}
    if segment.voice_data:
        members["voice_data"] = base64.b64encode(segment.voice_data).decode("ascii")
    members |= {"eof": str(segment.eof).lower(), "channel": str(segment.channel)}
    return "{" + ",+".join(f"{name}={text}" for name, text in members.items()) + "}"


def parse_history_text(text: str) -> VoiceSegment:
    """Parse a segment from the open API's history; raises WireError."""
    if not (text.startswith("{") and text.endswith("}")):
        raise FieldError("value", text, "{id=…,+rate=…,+…}")
    members = dict(item.partition("=")[::2] for item in text[1:-1].split(",+"))
    try:
        value: dict[str, object] = {
            name: int(members[name]) for name in ("id", "rate", "segment", "channel")
        }
        value["eof"] = {"true": 1, "false": 0}[members["eof"]]
    except (KeyError, ValueError) as error:
        raise FieldError("value", text, "id, rate, segment, eof and channel") from error
    if "voice_data" in members:
        value["voice_data"] = members["voice_data"]
    return parse_segment(value)
