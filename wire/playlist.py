"""Playlists as bytes in and entries out: m3u, m3u8 as a list, pls, and podcast feeds (`wire.feed`).

The agent reads them itself, so that what plays is what it says. Only http(s) entries are kept; paths
of files and other schemes are left out and counted. A list is recognised by its first bytes
and its content type, never by the ending of its address. Sources: RFC 8216 (what an HLS playlist has
and a list of titles has not); the m3u and pls files of Winamp and SHOUTcast, which nobody specified.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from enum import Enum

from wire.entries import ENTRIES_LIMIT, Entry, PlaylistError, Raw, make_entry
from wire.media import HEAD_SIZE, find_list, is_text, plain_head, sound_ending
from wire.records import dataclass

# Bytes. The largest feeds of weekly programmes in ten years have about this much.
LIST_BYTES = 2 * 1024 * 1024

_FEED_START = re.compile(rb"<(?:rss|feed|rdf:rdf)[\s>]", re.IGNORECASE)
# Tags that RFC 8216 allows in media or master playlists only.
_HLS = re.compile(
    rb"(?m)^[ \t]*#EXT-X-(?:TARGETDURATION|STREAM-INF|MEDIA-SEQUENCE|MEDIA|PART-INF)\b"
)
_PLS_LINE = re.compile(r"\s*(file|title|length)(\d{1,6})\s*=\s*(.*?)\s*", re.IGNORECASE)
_LINE = re.compile(r"[^\r\n]+")
# Members of a pls that are kept until their numbers are known.
_PLS_LIMIT = 4 * ENTRIES_LIMIT
_SECONDS = re.compile(r"\s*(\d{1,7}(?:\.\d{1,6})?)")
# Bytes of GB 2312 come in pairs from this range; Latin-1 seldom has two letters of it in a row.
_GB2312_RUNS = re.compile(rb"[\x80-\xff]+")
_LOWEST_GB2312 = 0xA1


class ListKind(Enum):
    """What a body is, if it is no sound; the value is its name in messages."""

    M3U = "an m3u list"
    PLS = "a pls list"
    FEED = "a podcast feed"
    HLS = "an HLS stream"
    OTHER = "no sound"


_STARTS = (
    (b"#extm3u", ListKind.M3U),
    (b"#extinf", ListKind.M3U),
    (b"http://", ListKind.M3U),
    (b"https://", ListKind.M3U),
    (b"[playlist]", ListKind.PLS),
)
_TYPES = {
    "application/mpegurl": ListKind.M3U,
    "application/vnd.apple.mpegurl": ListKind.M3U,
    "application/x-mpegurl": ListKind.M3U,
    "audio/mpegurl": ListKind.M3U,
    "audio/x-mpegurl": ListKind.M3U,
    "audio/scpls": ListKind.PLS,
    "audio/x-scpls": ListKind.PLS,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of a list in the order in which they are played.

    Attributes:
        entries: at most ENTRIES_LIMIT.
        left_out: how many more there were: other schemes, overlong URLs, beyond the limit.
        cut: whether the list was longer than LIST_BYTES; what was complete in them is there.
    """

    entries: tuple[Entry, ...]
    left_out: int = 0
    cut: bool = False


def find_kind(head: bytes, content_type: str) -> ListKind | None:
    """Return what a body with these first bytes is, None if it may be sound.

    Args:
        head: the first `wire.media.HEAD_SIZE` bytes, or all if there are fewer.
        content_type: the Content-Type header, "" if there is none. It decides only about text:
            servers call sound and lists anything, so that names of sound files alone are a list.
    """
    plain = plain_head(head).lstrip()
    if _HLS.search(plain):
        return ListKind.HLS
    lowered = plain[:16].lower()
    for start, kind in _STARTS:
        if lowered.startswith(start):
            return kind
    if lowered.startswith(b"<"):
        return ListKind.FEED if _FEED_START.search(plain) else ListKind.OTHER
    told = _TYPES.get(content_type.partition(";")[0].strip().lower())
    if told is not None and is_text(head):
        return told
    if is_text(head) and _names_sound_only(plain):
        return ListKind.M3U  # web servers know the type of few lists
    return ListKind.OTHER if find_list(head) is not None else None


def _names_sound_only(head: bytes) -> bool:
    """Return whether each whole line of a body's beginning is a comment or ends as a sound file does."""
    lines = [line.strip() for line in head.decode("latin-1").splitlines()]
    if len(head) >= HEAD_SIZE:
        del lines[-1:]  # which may be half of one
    entries = [line for line in lines if line and not line.startswith("#")]
    return bool(entries) and all(sound_ending(line.partition("?")[0]) for line in entries)


def parse_list(kind: ListKind, data: bytes, base: str, *, cut: bool = False) -> Listing:
    """Return the entries of a list.

    Args:
        kind: what `find_kind` says.
        data: at most LIST_BYTES; more is not looked at.
        base: the URL that the list was read from, after redirects; relative entries follow it.
        cut: whether ``data`` is the beginning of a longer list.

    Raises:
        PlaylistError: it cannot be read, or no entry is an http(s) URL.
    """
    cut = cut or len(data) > LIST_BYTES
    data = data[:LIST_BYTES]
    if kind is ListKind.FEED:
        from wire.feed import parse_feed  # noqa: PLC0415  # few lists are feeds

        found: Iterable[Raw] = parse_feed(data, cut=cut)
    elif kind is ListKind.HLS or _HLS.search(data):
        raise PlaylistError("an HLS stream cannot be played, expected sound or a list of titles")
    elif kind in {ListKind.M3U, ListKind.PLS}:
        parse = parse_m3u if kind is ListKind.M3U else parse_pls
        found = parse(list_lines(data, cut=cut))
    else:
        raise PlaylistError(f"got {kind.value}, expected sound or a list of titles")
    return keep(found, base, kind, cut=cut)


def keep(found: Iterable[Raw], base: str, kind: ListKind, *, cut: bool) -> Listing:
    """Return the first ENTRIES_LIMIT entries that can be played, and count the others."""
    entries: list[Entry] = []
    count = 0
    for address, title, seconds in found:
        count += 1
        if len(entries) < ENTRIES_LIMIT and (entry := make_entry(address, base, title, seconds)):
            entries.append(entry)
    if not entries:
        of = f"{count} entries are" if count else "there is no entry with"
        raise PlaylistError(f"{kind.value} without a title to play: {of} no http(s) address")
    return Listing(tuple(entries), count - len(entries), cut)


def parse_m3u(lines: Iterable[str]) -> Iterator[Raw]:
    """Yield the entries of an m3u list."""
    title, seconds = "", None
    for line in lines:
        if line[:8].upper() == "#EXTINF:":
            seconds, title = _read_extinf(line[8:])
        elif not line.startswith("#"):
            yield line, title, seconds
            title, seconds = "", None


def parse_pls(lines: Iterable[str]) -> Iterator[Raw]:
    """Yield the entries of a pls list in the order of their numbers."""
    found: dict[str, dict[int, str]] = {"file": {}, "title": {}, "length": {}}
    more = 0
    for line in lines:
        if match := _PLS_LINE.fullmatch(line):
            members = found[match[1].lower()]
            if len(members) < _PLS_LIMIT:
                members.setdefault(int(match[2]), match[3])
            elif members is found["file"]:
                more += 1
    for number in sorted(found["file"]):
        seconds = _read_seconds(found["length"].get(number, ""))
        yield found["file"][number], found["title"].get(number, ""), seconds
    yield from (("", "", None) for _ in range(more))


def list_lines(data: bytes, *, cut: bool) -> Iterator[str]:
    """Yield the lines that hold anything; the last of a list that was cut may be half a line."""
    text = _decode(data)
    end = max(text.rfind("\n"), text.rfind("\r")) if cut else len(text)
    for match in _LINE.finditer(text, 0, max(0, end)):
        if stripped := match[0].strip().strip("\x00"):
            yield stripped


def _read_extinf(text: str) -> tuple[float | None, str]:
    """Return seconds and title of ``123 tvg-name="a, b",The title``."""
    quoted = False
    for place, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            return _read_seconds(text[:place]), text[place + 1 :]
    return _read_seconds(text), ""


def _read_seconds(text: str) -> float | None:
    """Return a length; -1 stands for an unknown one or a stream without end."""
    match = _SECONDS.match(text)
    return float(match[1]) if match else None


def _decode(data: bytes) -> str:
    """Decode a list, which seldom says how it is encoded: UTF-16, UTF-8, GB 2312, Latin-1."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # cut in the middle of a character
            return data.decode("utf-8", "replace")
    runs = _GB2312_RUNS.findall(data)
    if all(len(run) % 2 == 0 and min(run) >= _LOWEST_GB2312 for run in runs):
        return data.decode("gb18030", "replace")
    return data.decode("latin-1")
