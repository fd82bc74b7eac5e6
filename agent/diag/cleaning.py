"""Takes secrets and what is the family's out of every text of the archive; decided without I/O.

Hidden: what the machine's secret files hold, passwords and tokens in URLs, private keys, 32 hexadecimal digits
standing alone (the form of tokens, also of one that is no longer in the profile), names of Wi-Fi networks, titles of
what a child hears, and the family's own names for wake words and phones. Left: the uuid, addresses in the home network, versions, times.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from agent.config.hiding import HIDDEN, hide

TITLE = "[title]"
# Characters; shorter names would hide letters of other words.
NAME_MIN = 2
SECRET_MIN = 6
_WORD = re.compile(rb"[A-Za-z0-9_+/=.-]{12,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")
_PEM = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{32}(?![0-9A-Za-z])")
_WIFI = re.compile(
    r"""(?P<name>\b(?:e?ssid|psk|passphrase|wpa_key)\b["']?\s*[=:]?\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,;'"]+)""",
    re.IGNORECASE,
)
# What `resources.playing.skips` logs of a title that may come from the web, and so be in no folder.
_PLAYED = re.compile(r"(?P<before>\bplay: ).+?(?P<after> is skipped: )")
# Members of ``status`` that tell what a child hears or says.
_FAMILY = {"title", "source", "queue", "skipped", "name", "names", "words", "home_network"}


def secret_words(content: bytes) -> set[str]:
    """Return what a secret file may hold: its text, its long words, and its bytes as hexadecimal and Base64."""
    found = {word.decode() for word in _WORD.findall(content)}
    text = content.decode("utf-8", "replace").strip()
    if "\n" not in text and len(text) <= 1024:
        found.add(text)
    raw = [content] if 0 < len(content) <= 128 else []
    raw += [bytes.fromhex(word) for word in found if _HEX.fullmatch(word)]
    for secret in raw:
        encoded = base64.b64encode(secret), base64.urlsafe_b64encode(secret)
        found |= {secret.hex(), *(each.decode() for each in encoded)}
    return {word for word in found if len(word) >= SECRET_MIN}


class Cleaner:
    """Cleans texts; made once for an archive."""

    def __init__(self, secrets: Iterable[str], titles: Iterable[str] = ()) -> None:
        """Hide ``secrets`` wherever they stand, and ``titles`` as such."""
        self._secrets = _any_of(secrets, SECRET_MIN)
        self._titles = _any_of(titles, NAME_MIN, whole=True)

    def clean(self, text: str) -> str:
        """Return ``text`` without what is hidden."""
        text = _PEM.sub(HIDDEN, text)
        if self._secrets:
            text = self._secrets.sub(HIDDEN, text)
        text = _PLAYED.sub(rf"\g<before>{TITLE}\g<after>", text)
        if self._titles:
            text = self._titles.sub(TITLE, text)
        return _TOKEN.sub(HIDDEN, _WIFI.sub(rf"\g<name>{HIDDEN}", hide(text)))


def _any_of(words: Iterable[str], least: int, *, whole: bool = False) -> re.Pattern[str] | None:
    """Return a pattern for all words in all usual spellings, the longest first; None for none.

    With ``whole``, a word of Latin letters is not found inside a longer one.
    """
    spelled = {spelling for word in words if len(word) >= least for spelling in _spellings(word)}
    if not spelled:
        return None
    ordered = (re.escape(word) for word in sorted(spelled, key=len, reverse=True))
    if whole:
        ordered = (rf"(?<![A-Za-z0-9_]){word}(?![A-Za-z0-9_])" for word in ordered)
    return re.compile("|".join(ordered))


def _spellings(word: str) -> Iterator[str]:
    """Return how a word may stand in a log or a file; the name of a file on a card may be of any bytes."""
    written = word.encode("utf-8", "surrogateescape")
    yield from (
        word,
        json.dumps(word)[1:-1],
        repr(word)[1:-1],
        quote(written, safe=""),
        quote(written),
    )
    for way in ("replace", "backslashreplace"):
        yield written.decode("utf-8", way)


def without_family(value: object) -> object:
    """Return the agent's status without what a child hears or says; lists become their lengths."""
    if isinstance(value, Mapping):
        return {
            name: _closed(member) if name in _FAMILY else without_family(member)
            for name, member in value.items()
        }
    return [without_family(each) for each in value] if isinstance(value, list) else value


def _closed(member: object) -> object:
    if isinstance(member, list | Mapping):
        return f"{len(member)} {HIDDEN}"
    return HIDDEN if member else member


def titles_of(status: object) -> set[str]:
    """Return the titles that a status tells of."""
    found: set[str] = set()

    def look(value: object, *, inside: bool) -> None:
        if isinstance(value, Mapping):
            for name, member in value.items():
                look(member, inside=inside or name in _FAMILY)
        elif isinstance(value, list):
            for each in value:
                look(each, inside=inside)
        elif isinstance(value, str) and inside:
            found.add(value)

    look(status, inside=False)
    return found
