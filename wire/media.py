"""What counts as a sound file: the ending of its name, and the first bytes of its content.

The endings are those of the containers that mpv plays with FFmpeg (the tests try them); of a video only
the sound is heard. A playlist or an archive under such a name would make the player open
other files and addresses, so `find_list` tells it from sound by its beginning. Sources: mpv's
demux_playlist.c, demux_edl.c, demux_cue.c and demux_libarchive.c, FFmpeg's probes of hls, concat,
dash, sdp and rtsp; id3.org, "ID3 tag version 2.4.0", section 3.1.
"""

from __future__ import annotations

import re

FORMATS = {
    "aac": "aac", "ac3": "ac3", "aiff": "aif aifc aiff", "amr": "amr", "ape": "ape",
    "asf": "asf wma wmv", "au": "au snd", "caf": "caf", "dsf": "dsf", "eac3": "eac3",
    "flac": "flac", "matroska": "mka mkv weba webm", "mov": "3gp m4a m4b m4r m4v mov mp4",
    "mp3": "mp2 mp3 mpa", "mpc": "mpc", "mpeg": "mpeg mpg", "mpegts": "m2ts ts",
    "ogg": "oga ogg ogv ogx opus spx", "tta": "tta", "w64": "w64", "wav": "wav", "wv": "wv",
}  # fmt: skip
"""FFmpeg's demuxers for files that hold one recording, each with the endings of its files."""

SOUND_ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings.split())
"""The endings of sound files, in lower case and without the dot."""

# Bytes. The players' own probes of lists look at 512 to 2,048.
HEAD_SIZE = 4096
# Text as long as this without a byte that text does not have is no sound: in sound bytes, one of
# ten is such a byte.
_TEXT_SIZE = 512
_ID3_HEADER = 10
_ID3_FOOTER_FLAG = 0x10

_BLANK = b" \t\r\n\x0b\x0c\x00"
_STARTS = (
    (b"#extm3u", "an m3u playlist"),
    (b"#extinf", "an m3u playlist"),
    (b"# mpv edl v", "an EDL"),
    (b"mplayer edl file", "an EDL"),
    (b"[playlist]", "a pls playlist"),
    (b"[reference]", "an ASX playlist"),
    (b"[internetshortcut]", "a link"),
    (b"ffconcat", "a concat list"),
    (b"<", "a playlist or page in XML or HTML"),
    (b"v=0", "an SDP description"),
    (b"rtsp://", "a link"),
    (b"http://", "a link"),
    (b"https://", "a link"),
)
# A cue sheet has no header: its first line is one of its commands.
_CUE = re.compile(
    rb"(?:rem|file|title|track|performer|songwriter|catalog|cdtextfile|index|isrc|flags|pregap|postgap)[ \t]"
)
_ARCHIVES = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "a zip archive"),
    (0, b"Rar!\x1a\x07", "a rar archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b\x08", "a gzip file"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"\xfd7zXZ\x00", "an xz file"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file"),
    (257, b"ustar", "a tar archive"),
)
# FFmpeg takes any text with such a line for SDP.
_SDP = re.compile(rb"^c=IN IP", re.MULTILINE)
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\x0b\x0c\x1a\x1b"))


def sound_ending(name: str) -> str | None:
    """Return the ending of a sound file's name in lower case, None if the name has no such ending."""
    stem, _, ending = name.rpartition(".")
    return ending.lower() if stem and ending.lower() in SOUND_ENDINGS else None


def tag_size(head: bytes) -> int:
    """Return the bytes of the ID3v2 tag at the start of ``head``, 0 without one.

    The player skips such a tag, so what counts is the content that follows it.
    """
    if len(head) < _ID3_HEADER or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
        return 0
    size = int.from_bytes(head[6:10], "big")
    # Four times seven bits.
    size = sum((size >> (8 * place) & 0x7F) << (7 * place) for place in range(4))
    return size + _ID3_HEADER * (2 if head[5] & _ID3_FOOTER_FLAG else 1)


def find_list(head: bytes) -> str | None:
    """Return what a file is that begins with ``head`` if it is no sound itself ("an m3u playlist").

    ``head`` has the first HEAD_SIZE bytes of the file (after ID3 tags), or all if it is shorter.
    None means that it may be sound.
    """
    for offset, magic, kind in _ARCHIVES:
        if head.startswith(magic, offset):
            return kind
    plain = plain_head(head)
    text = plain.lstrip(_BLANK).lower()
    for start, kind in _STARTS:
        if text.startswith(start):
            return kind
    if _CUE.match(text):
        return "a cue sheet"
    if _SDP.search(plain):
        return "an SDP description"
    return "text" if is_text(head) else None


def plain_head(head: bytes) -> bytes:
    """Return the head without a byte order mark, UTF-16 as UTF-8."""
    encoding = _UTF16.get(head[:2])
    if encoding is not None:
        return head[2:].decode(encoding, "replace").encode("utf-8", "replace")
    return head.removeprefix(b"\xef\xbb\xbf")


def is_text(head: bytes) -> bool:
    """Return whether ``head`` begins with text: no byte of it is one that text does not have."""
    begin = head[:_TEXT_SIZE]
    return bool(begin) and len(begin.translate(None, _CONTROL)) == len(begin)
