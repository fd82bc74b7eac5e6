"""The cloud's answer to an utterance, and its wish that the machine listens (docs/adr/0031).

``PUT /answer`` from the cloud, payload ``{"id": utterance, "result": "done" | "not_understood" | "not_found" |
"refused" | "failed", "titles": [{"title": str, "pinyin": str}], "text": str}``; ``titles`` (at most two, the nearest
first, only with ``not_found``) and ``text`` (what was understood) may be missing. The device answers 2.04, also to
an answer that it has no use for, and 4.00 to one that it cannot read. ``POST /listen`` has the payload ``start`` or
``cancel``.

Both are sent only to devices that say that they read them (`wire.abilities`, which has the paths): other firmware has no such paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from wire.errors import FieldError
from wire.fields import INT64_MAX, dump_object, get_int, get_string, is_object, parse_object
from wire.records import dataclass
from wire.text import parse_text

LISTEN_START, LISTEN_CANCEL = "start", "cancel"

TITLES_MAX = 2
# Characters; the longest name that the library has (`wire.media`), and a sentence as the console takes it.
TITLE_LIMIT = 255
TEXT_LIMIT = 500
# Six letters, a tone and a blank for each character of a title.
PINYIN_LIMIT = 8 * TITLE_LIMIT
PAYLOAD_LIMIT = 8 * 1024
# Lower-case syllables with tone numbers 1 to 5, "xiao3 tu4 zi5"; nothing that a program could take for an option.
_PINYIN = re.compile(r"[a-zü]+[1-5]?(?: [a-zü]+[1-5]?)*")


class Result(StrEnum):
    """What became of an utterance."""

    DONE = "done"
    """The device has done it."""
    NOT_UNDERSTOOD = "not_understood"
    """No speech, or no command in it."""
    NOT_FOUND = "not_found"
    """A title that the catalogue does not have."""
    REFUSED = "refused"
    """The device said no, or cannot do it."""
    FAILED = "failed"
    """The cloud has failed."""


@dataclass(frozen=True, slots=True)
class Title:
    """A title as it is written, and how it is said: syllables with tone numbers, "" where nobody knows."""

    title: str
    pinyin: str = ""


@dataclass(frozen=True, slots=True)
class UtteranceAnswer:
    """The answer to the utterance ``id``.

    Attributes:
        id: the number in its voice segments.
        result: what became of it.
        titles: what may have been meant, the nearest first; only with `Result.NOT_FOUND`.
        text: what was understood, "" if nothing was.
    """

    id: int
    result: Result
    titles: tuple[Title, ...] = ()
    text: str = ""

    def to_payload(self) -> bytes:
        """Build the payload of ``PUT /answer``."""
        value: dict[str, object] = {"id": self.id, "result": str(self.result)}
        if self.titles:
            value["titles"] = [{"title": t.title, "pinyin": t.pinyin} for t in self.titles]
        if self.text:
            value["text"] = self.text
        return dump_object(value)


def parse_answer(payload: bytes) -> UtteranceAnswer:
    """Parse the payload of ``PUT /answer``; raises WireError that names the member."""
    if len(payload) > PAYLOAD_LIMIT:
        raise FieldError("answer", f"{len(payload)} bytes", f"at most {PAYLOAD_LIMIT} bytes")
    source = parse_object(payload, "answer")
    number = get_int(source, "id", high=INT64_MAX)
    result = _result(get_string(source, "result"))
    titles = _titles(source.get("titles", []))
    if titles and result is not Result.NOT_FOUND:
        raise FieldError("titles", len(titles), f"none with the result {result}")
    text = parse_text("text", source.get("text", ""), TEXT_LIMIT, empty=True)
    return UtteranceAnswer(number, result, titles, text)


def _result(text: str) -> Result:
    if text not in set(Result):
        raise FieldError("result", text, f"one of {', '.join(Result)}")
    return Result(text)


def _titles(value: object) -> tuple[Title, ...]:
    if not isinstance(value, list) or len(value) > TITLES_MAX:
        raise FieldError("titles", value, f"a list of at most {TITLES_MAX} titles")
    return tuple(_title(entry, f"titles[{number}]") for number, entry in enumerate(value))


def _title(value: object, path: str) -> Title:
    if not is_object(value):
        raise FieldError(path, value, "an object with title and pinyin")
    title = parse_text(f"{path}.title", value.get("title"), TITLE_LIMIT)
    return Title(title, _pinyin(value, path))


def _pinyin(value: Mapping[str, object], path: str) -> str:
    said = value.get("pinyin", "")
    if said == "":
        return ""
    if not isinstance(said, str) or len(said) > PINYIN_LIMIT or not _PINYIN.fullmatch(said):
        expected = f"syllables with tone numbers, at most {PINYIN_LIMIT} characters"
        raise FieldError(f"{path}.pinyin", said, expected)
    return said
