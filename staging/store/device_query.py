"""Which devices a list shows and in which order, as its address says it. Pure; `device_list` asks the store.

The console's address, its requests and the options of ``story-cloud device list`` have the same names and values.
A value that is none is refused by its name: an address that was mistyped must not show all devices instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TypeVar

from staging.identity.rights import Standing
from wire.errors import FieldError
from wire.ota import version_key
from wire.text import parse_text

SEARCH_LIMIT = 64
# Words of a search; each is looked for by itself.
WORDS_LIMIT = 8
TAG_LIMIT = 32
NAME_LIMIT = 255
# Values of one filter: more than a person clicks, few enough for every database.
VALUES_LIMIT = 50
SIZES = (25, 50, 100, 200)
SIZE = 50
PAGE_MAX = 1_000_000


class Presence(StrEnum):
    """Whether a device is connected."""

    ONLINE = "online"
    OFFLINE = "offline"
    """Not connected, and it was before."""
    NEVER = "never"
    """It never was connected."""


class Updating(StrEnum):
    """How a device stands with its latest update."""

    RUNNING = "running"
    FAILED = "failed"
    SUCCESS = "success"
    NONE = "none"
    """It has had none."""


class Sort(StrEnum):
    """The columns that a list can be sorted by."""

    DEVICE = "device"
    PRESENCE = "presence"
    VERSION = "version"
    BATTERY = "battery"
    VOLUME = "volume"
    HEARTBEAT = "heartbeat"
    OWNER = "owner"
    PRODUCT = "product"
    BATCH = "batch"
    TAGS = "tags"
    UPDATE = "update"
    ADDED = "added"


# What is looked at first in each column; the other direction is told by ``order``.
DOWN = frozenset({Sort.PRESENCE, Sort.VERSION, Sort.HEARTBEAT, Sort.OWNER, Sort.UPDATE, Sort.ADDED})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which devices, in which order, and which page of them. Of the values of one filter one must fit; of tags all."""

    search: str = ""
    presence: tuple[Presence, ...] = ()
    product: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    owner: tuple[Standing, ...] = ()
    update: tuple[Updating, ...] = ()
    tag: tuple[str, ...] = ()
    sort: Sort = Sort.PRESENCE
    descending: bool = True
    page: int = 1
    size: int = SIZE

    @property
    def words(self) -> list[str]:
        """The words of the search."""
        return self.search.split()

    @property
    def is_all(self) -> bool:
        """Whether no filter leaves anything out."""
        return not any(
            (self.search, self.presence, self.product, self.batch, self.version, self.owner)
        ) and not (self.update or self.tag)


FILTERS = ("presence", "product", "batch", "version", "owner", "update", "tag")
"""The filters, by their names in an address; each may be given several times."""
NAMES = ("q", *FILTERS, "sort", "order", "page", "size")

Enum = TypeVar("Enum", bound=StrEnum)


def parse(given: Mapping[str, Sequence[str]]) -> Wanted:
    """Return what an address asks for; empty values are as if they were not there.

    Args:
        given: the values of each name, as they came.

    Raises:
        FieldError: a name is none of `NAMES`, or a value is none of its kind.
    """
    for name in given:
        if name not in NAMES:
            raise FieldError("query", name, f"one of {', '.join(NAMES)}")
    kept = {name: [text.strip() for text in texts if text.strip()] for name, texts in given.items()}
    kept = {name: texts for name, texts in kept.items() if texts}
    for name, texts in kept.items():
        most = VALUES_LIMIT if name in FILTERS else 1
        if len(texts) > most:
            raise FieldError(name, f"{len(texts)} values", f"at most {most}")
    sort = _choice("sort", kept.get("sort", [Sort.PRESENCE])[0], Sort)
    return Wanted(
        search=_search(kept.get("q", [""])[0]),
        presence=_all(kept, "presence", lambda text: _choice("presence", text, Presence)),
        product=_all(kept, "product", lambda text: parse_text("product", text, NAME_LIMIT)),
        batch=_all(kept, "batch", lambda text: parse_text("batch", text, NAME_LIMIT)),
        version=_all(kept, "version", _version),
        owner=_all(kept, "owner", lambda text: _choice("owner", text, Standing)),
        update=_all(kept, "update", lambda text: _choice("update", text, Updating)),
        tag=_all(kept, "tag", parse_tag),
        sort=sort,
        descending=_is_down(kept.get("order", [""])[0], sort),
        page=_number("page", kept.get("page", ["1"])[0], range(1, PAGE_MAX + 1)),
        size=_number("size", kept.get("size", [str(SIZE)])[0], SIZES),
    )


def parse_tag(value: object) -> str:
    """Return a tag as it is kept; raises FieldError."""
    tag = parse_text("tag", value, TAG_LIMIT).strip()
    if "," in tag or ";" in tag:
        raise FieldError(
            "tag", tag, "no comma and no semicolon: lists of tags have them between tags"
        )
    return tag


Value = TypeVar("Value")


def _all(
    kept: Mapping[str, list[str]], name: str, parse_one: Callable[[str], Value]
) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(map(parse_one, kept.get(name, []))))


def _search(text: str) -> str:
    search = parse_text("q", text, SEARCH_LIMIT, empty=True)
    if len(search.split()) > WORDS_LIMIT:
        raise FieldError("q", search, f"at most {WORDS_LIMIT} words")
    return search


def _choice(name: str, text: str, kind: type[Enum]) -> Enum:
    try:
        return kind(text)
    except ValueError:
        raise FieldError(name, text, f"one of {', '.join(kind)}") from None


def _version(text: str) -> str:
    version_key(text)
    return text


def _is_down(text: str, sort: Sort) -> bool:
    if text not in {"", "up", "down"}:
        raise FieldError("order", text, "up or down")
    return text == "down" or (not text and sort in DOWN)


def _number(name: str, text: str, allowed: Sequence[int]) -> int:
    number = (
        int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(PAGE_MAX)) else 0
    )
    if number not in allowed:
        told = (
            f"a number from 1 to {PAGE_MAX}"
            if isinstance(allowed, range)
            else f"one of {', '.join(map(str, allowed))}"
        )
        raise FieldError(name, text, told)
    return number


def query_of(wanted: Wanted) -> list[tuple[str, str]]:
    """Return the pairs of an address that `parse` reads as ``wanted``."""
    pairs: list[tuple[str, str]] = [("q", wanted.search)] if wanted.search else []
    values: Iterable[tuple[str, tuple[str, ...]]] = (
        (field.name, getattr(wanted, field.name))
        for field in fields(wanted)
        if field.name in FILTERS
    )
    pairs += [(name, str(value)) for name, several in values for value in several]
    pairs += [("sort", wanted.sort), ("order", "down" if wanted.descending else "up")]
    return [*pairs, ("page", str(wanted.page)), ("size", str(wanted.size))]
