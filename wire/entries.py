"""An entry of a playlist: a title and an http(s) address, whatever the list had."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

from wire.errors import WireError
from wire.records import dataclass
from wire.text import cleaned

ENTRIES_LIMIT = 500
# As for an order (wire.story_points.PLAY_LIMIT).
URL_BYTES = 4096
TITLE_CHARACTERS = 200

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

Raw = tuple[str, str, float | None]
"""An entry as it stands in a list: its address, its title or "", and its seconds or None."""


class PlaylistError(WireError):
    """The body is no list that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One title of a list.

    Attributes:
        title: for people; never empty.
        url: an absolute http(s) URL.
        seconds: its length as the list gives it, None if it gives none.
    """

    title: str
    url: str
    seconds: float | None = None


def make_entry(address: str, base: str, title: str, seconds: float | None) -> Entry | None:
    """Return an entry, None unless ``address`` leads from ``base`` to an http(s) URL.

    Without a title it has the name of the file, as on a card.
    """
    url = _join(base, address.strip())
    if url is None:
        return None
    return Entry(_title(title) or name_of(url), url, seconds or None)


def name_of(url: str) -> str:
    """Return the name of the file that ``url`` leads to without its ending, else its host."""
    parts = urlsplit(url)
    name = unquote(parts.path.rstrip("/").rpartition("/")[2])
    stem, dot, ending = name.rpartition(".")
    if dot and stem and len(ending) <= 5:
        name = stem
    return _title(name) or (parts.hostname or "")[:TITLE_CHARACTERS]


def _title(text: str) -> str:
    """Return a title in one line: in feeds it may stand in several."""
    return cleaned(" ".join(text.split()))[:TITLE_CHARACTERS].strip()


def _join(base: str, address: str) -> str | None:
    """Return the http(s) URL of an entry, None if it leads elsewhere or is too long."""
    if not address or (_SCHEME.match(address) and not _is_web(address)):
        return None
    try:
        # An absolute address stays as it is: joined to the base, "http://" would be the base.
        url = address if _is_web(address) else urljoin(base, address.replace("\\", "/"))
        parts = urlsplit(url)
        whole = parts.hostname and parts.port != 0
        fits = len(url.encode("utf-8")) <= URL_BYTES
    except ValueError:  # a port or an address in brackets that is none; half a surrogate pair
        return None
    return url if fits and whole and _is_web(url) else None


def _is_web(address: str) -> bool:
    return address[:8].lower().startswith(("http://", "https://"))
