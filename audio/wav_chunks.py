"""The chunks of a WAV file: bytes in, the format and the sound's bytes out.

Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" and, for
WAVE_FORMAT_EXTENSIBLE, its "Multiple Channel Audio Data and WAVE Files". Python's ``wave`` is not used:
what it takes differs between versions.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from audio.errors import AudioError

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
# The formats that occur and are not taken.
_NAMES = {2: "MS ADPCM", 17: "IMA ADPCM", 0x31: "GSM 6.10", 0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC"}
# The rest of a SubFormat whose first two bytes are a format.
_SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")
_EXTENSIBLE_BYTES = 40
_CONTAINERS = {
    b"RIFX": "RIFX (big-endian WAV)", b"RF64": "RF64", b"BW64": "BW64", b"riff": "Sony Wave64",
    b"FORM": "AIFF", b"caff": "CAF", b"OggS": "Ogg", b"fLaC": "FLAC",
}  # fmt: skip
# Recorders that write to a pipe do not know the length: they announce nothing, or about 2 or 4 GiB.
STREAM_BYTES = 0x7FFF_0000
_HEAD = struct.Struct("<4sI")


@dataclass(frozen=True, slots=True)
class Form:
    """How samples are written.

    Attributes:
        tag: PCM, FLOAT, A_LAW or MU_LAW; what else there is, is kept for the error.
        channels: interleaved.
        rate: frames per second.
        width: the bytes of one sample.
        bits: how many bits of it count, from the highest on.
    """

    tag: int
    channels: int
    rate: int
    width: int
    bits: int

    @property
    def name(self) -> str:
        """The format's name."""
        return _NAMES.get(self.tag, f"format {self.tag}")


def read_chunks(data: bytes) -> tuple[Form, bytes]:
    """Return the format and the sound's bytes; raises AudioError."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioError(f"not a WAV file: {_describe(data)}")
    form, at = None, 12
    while at + _HEAD.size <= len(data):
        kind, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if kind == b"data":
            if form is None:
                raise AudioError("not a WAV file: it has no fmt chunk before its data")
            return form, _cut_sound(data[at:], size)
        if at + size > len(data):
            raise AudioError(f"not a WAV file: its chunk {kind!r} is cut short")
        if kind == b"fmt " and form is None:
            form = _read_form(data[at : at + size])
        at = _skip(data, at + size, odd=bool(size % 2))
    raise AudioError(f"not a WAV file: it has no {'data' if form else 'fmt'} chunk")


def _describe(data: bytes) -> str:
    if len(data) < 12:
        return "it is cut short"
    if data[:4] == b"RIFF":
        return f"its RIFF is {data[8:12]!r}, not WAVE"
    name = _CONTAINERS.get(data[:4])
    return f"it is {name}" if name else "it does not begin with RIFF"


def _skip(data: bytes, end: int, *, odd: bool) -> int:
    """Return where the next chunk begins: chunks of odd size are padded, by most writers."""
    if odd and data[end : end + 4] not in {b"data", b"fmt "}:
        return end + 1
    return end


def _read_form(chunk: bytes) -> Form:
    if len(chunk) < 16:
        raise AudioError("not a WAV file: its fmt chunk is cut short")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE:
        tag = _read_subformat(chunk)
    width = block // channels if channels and block and not block % channels else -(-bits // 8)
    return Form(tag, channels, rate, width, bits)


def _read_subformat(chunk: bytes) -> int:
    if len(chunk) < _EXTENSIBLE_BYTES:
        raise AudioError("not a WAV file: its extensible fmt chunk is cut short")
    if chunk[26:_EXTENSIBLE_BYTES] != _SUBFORMAT:
        raise AudioError(f"WAV format: got subformat {chunk[24:40].hex()}, expected PCM or float")
    return int.from_bytes(chunk[24:26], "little")


def _cut_sound(rest: bytes, size: int) -> bytes:
    """Return the sound's bytes; a length that the writer did not know reaches to the file's end."""
    if size == 0 and _are_chunks(rest):
        return b""
    if size == 0 or size >= STREAM_BYTES:
        return rest
    if len(rest) < size:
        raise AudioError(
            f"WAV data: got {len(rest)}, expected the {size} bytes that its header promises"
        )
    return rest[:size]


def _are_chunks(rest: bytes) -> bool:
    """Return whether ``rest`` is nothing but chunks, so that the sound before it is empty."""
    at = 0
    while at + _HEAD.size <= len(rest):
        kind, size = _HEAD.unpack_from(rest, at)
        if not re.fullmatch(rb"[ -~]{4}", kind):
            return False
        at += _HEAD.size + size + size % 2
    return at in {len(rest), len(rest) + 1}
