"""What plays, as the text that the data point ``player`` and ``story-agent status`` tell. Pure."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from resources.playing.events import Snapshot
from wire.datapoints import STRING_LIMIT
from wire.fields import dump_object
from wire.text import cleaned

# Bytes of JSON: the title and the source leave room for some of the titles around.
TITLE_LIMIT = 280
ENTRY_LIMIT = 120
_MARK = "…"


def describe(shot: Snapshot) -> dict[str, object]:
    """Return what plays as a JSON object; seconds have one decimal, numbers of titles begin with 1."""
    return {
        "state": shot.state.value,
        "title": shorten(shot.title, TITLE_LIMIT),
        "position": _seconds(shot.position),
        "length": _seconds(shot.length),
        "index": shot.index + 1 if shot.count else 0,
        "count": shot.count,
        "source": shorten(source_of(shot), TITLE_LIMIT),
        "queue": [[number + 1, shorten(title, ENTRY_LIMIT)] for number, title in shot.titles],
    }


def render(shot: Snapshot) -> str:
    """Return `describe` in at most STRING_LIMIT bytes: the titles that are farthest are left out."""
    told = describe(shot)
    rows = [[number + 1, shorten(title, ENTRY_LIMIT)] for number, title in shot.titles]
    while len(text := dump_object(told | {"queue": rows})) > STRING_LIMIT:
        numbers = [number for number, _ in rows]
        place = numbers.index(shot.index + 1)
        del rows[0 if place > len(rows) - 1 - place else -1]
    return text.decode()


def source_of(shot: Snapshot) -> str:
    """Return where the track comes from: its path in the media folder, or a URL without secrets."""
    if "://" not in shot.source:
        return cleaned(shot.key.encode(errors="surrogateescape").decode(errors="replace"))
    try:
        parts = urlsplit(shot.source)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return cleaned(f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}")


def shorten(text: str, limit: int) -> str:
    """Return ``text``, cut so that it takes at most ``limit`` bytes as JSON."""
    if _size(text) <= limit:
        return text
    cut = text[:limit]
    while _size(cut + _MARK) > limit:
        cut = cut[:-1]
    return cut + _MARK


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode(errors="replace"))


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
