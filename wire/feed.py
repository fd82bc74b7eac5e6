"""Podcast feeds as bytes in and entries out: the enclosures of RSS 2.0, RSS 1.0 and Atom, newest first.

Feeds are strangers' XML: a document type declaration is refused before anything in it counts, so that
neither entities that grow nor files and addresses that they name exist here. The parser reads events,
so that memory is that of the entries kept, not that of the feed. Sources: RSS 2.0 specification
(item, enclosure, pubDate), RFC 4287 (entry, link rel="enclosure", published), Apple's
itunes:duration.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Mapping
from email.utils import mktime_tz, parsedate_tz
from xml.parsers import expat

from wire.entries import ENTRIES_LIMIT, TITLE_CHARACTERS, PlaylistError, Raw

# Characters of one field; a title that is longer is cut in any case.
_FIELD_LIMIT = 4 * TITLE_CHARACTERS
# Real feeds have six levels.
_DEPTH_LIMIT = 64
# Bytes given to the parser at once, and of the longest tag: addresses have 4,096 at most.
_PIECE = 32 * 1024
_TAG_LIMIT = 32 * 1024
_ITEMS = frozenset({"item", "entry"})
_FIELDS = frozenset({"title", "pubDate", "published", "updated", "date", "duration"})
_DURATION = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,7})(?:\.\d{0,6})?")
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?)?\s*(Z|[+-]\d\d:?\d\d)?"
)
_ENCODING = re.compile(rb"<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Encodings of several bytes a character, which expat cannot read itself.
_WIDE = frozenset({"gb2312", "gbk", "gb18030", "big5", "euc-kr", "euc-jp", "shift_jis"})
_SPACE = " "


def parse_feed(data: bytes, *, cut: bool) -> Iterator[Raw]:
    """Yield the enclosures of a feed, newest first, and an empty one for each beyond the limit.

    Items without a date keep their place between those around them. A feed that is damaged or ``cut``
    gives the items that stand before that place.

    Raises:
        PlaylistError: it declares a document type, or is damaged before its first item.
    """
    reader = _Reader()
    try:
        reader.feed(data, final=not cut)
    except expat.ExpatError as error:
        if not reader.count:
            raise PlaylistError(
                f"a podcast feed that is no XML at line {error.lineno}: {expat.ErrorString(error.code)}"
            ) from error
    except (ValueError, LookupError) as error:  # an encoding that expat cannot read
        if isinstance(error, PlaylistError):
            raise
        raise PlaylistError(f"a podcast feed that cannot be read: {error}") from error
    yield from reader.newest()
    yield from (("", "", None) for _ in range(reader.count - len(reader.kept)))


class _Reader:
    """Collects the items of a feed, at most ENTRIES_LIMIT, the newest."""

    def __init__(self) -> None:
        self._depth = 0
        self._item: dict[str, str] = {}
        # The depth of the item that is being read, 0 outside of items.
        self._item_depth = 0
        self._field = ""
        self._last_date = float("inf")
        # (date, -place, item): the root of the heap is the oldest.
        self.kept: list[tuple[float, int, Raw]] = []
        self.count = 0

    def feed(self, data: bytes, *, final: bool) -> None:
        data = data.lstrip()
        declared = _ENCODING.match(data[:200])
        encoding = declared[1].decode("ascii").lower() if declared else ""
        override = None
        if encoding in _WIDE:
            data, override = data.decode(encoding, "replace").encode("utf-8"), "utf-8"
        parser = expat.ParserCreate(override, namespace_separator=_SPACE)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        for start in range(0, len(data), _PIECE):
            parser.Parse(data[start : start + _PIECE], False)
            # What is not parsed yet is a tag without its end, of which expat would keep every attribute.
            if start + _PIECE - max(parser.CurrentByteIndex, 0) > _TAG_LIMIT + _PIECE:
                raise PlaylistError(f"a podcast feed with a tag of more than {_TAG_LIMIT} bytes")
        if final:
            parser.Parse(b"", True)

    def newest(self) -> Iterator[Raw]:
        for _date, _place, item in sorted(self.kept, key=lambda row: row[:2], reverse=True):
            yield item

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(_SPACE)[2]
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise PlaylistError(f"a podcast feed with more than {_DEPTH_LIMIT} levels")
        if self._item_depth:
            self._start_in_item(local, attributes)
        elif local in _ITEMS:
            self._item, self._item_depth = {}, self._depth

    def _start_in_item(self, local: str, attributes: Mapping[str, str]) -> None:
        if local == "enclosure" and _may_sound(attributes):
            self._item.setdefault("url", attributes.get("url", ""))
        elif local == "link" and attributes.get("rel") == "enclosure" and _may_sound(attributes):
            self._item.setdefault("url", attributes.get("href", ""))
        # Of an item itself: media:group and others have titles of their own.
        if local in _FIELDS and self._depth == self._item_depth + 1 and local not in self._item:
            self._field = local

    def _text(self, text: str) -> None:
        if self._field:
            self._item[self._field] = (self._item.get(self._field, "") + text)[:_FIELD_LIMIT]

    def _end(self, _name: str) -> None:
        self._field = ""
        if self._depth == self._item_depth:
            self._item_depth = 0
            if "url" in self._item:
                self._add(self._item)
        self._depth -= 1

    def _add(self, item: Mapping[str, str]) -> None:
        self.count += 1
        dates = (
            read_date(item[name])
            for name in ("pubDate", "published", "date", "updated")
            if name in item
        )
        date = next((found for found in dates if found is not None), self._last_date)
        self._last_date = date
        # Of two of the same second the first in the feed is the newer one.
        raw = (item["url"], item.get("title", ""), read_duration(item.get("duration", "")))
        row = (date, -self.count, raw)
        if len(self.kept) < ENTRIES_LIMIT:
            heapq.heappush(self.kept, row)
        else:
            heapq.heappushpop(self.kept, row)


def _may_sound(attributes: Mapping[str, str]) -> bool:
    """Return whether an enclosure may be sound: pictures and documents are enclosed as well."""
    kind = attributes.get("type", "").strip().lower()
    return not kind.startswith(("image/", "text/", "application/pdf"))


def _refuse_doctype(name: str, system: str | None, public: str | None, internal: int) -> None:  # noqa: ARG001  # expat's signature
    raise PlaylistError("a podcast feed with a document type declaration, expected none")


def read_duration(text: str) -> float | None:
    """Return the seconds of ``1:02:03``, ``62:03`` or ``3723``; None for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def read_date(text: str) -> float | None:
    """Return the Unix time of a date of RSS (RFC 822) or Atom (RFC 3339), None if it is none."""
    match = _ISO.fullmatch(text.strip())
    try:
        if match is None:
            parsed = parsedate_tz(text)
            return None if parsed is None else float(mktime_tz((*parsed[:9], parsed[9] or 0)))
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        zone = (match[7] or "Z").replace(":", "")
        offset = 0 if zone == "Z" else int(zone[:3]) * 3600 + int(zone[0] + zone[3:]) * 60
        return float(mktime_tz((year, month, day, hour, minute, second, 0, 1, 0, offset)))
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
