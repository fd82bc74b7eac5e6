"""Links to what a machine has (RFC 6690), and which of them a query asks for: pure."""

from __future__ import annotations

from collections.abc import Iterable

from wire.errors import FieldError
from wire.records import dataclass

# Attributes that are lists of words; a query names one of the words (RFC 6690 section 4.1).
_LISTS = frozenset({"rt", "if", "rel", "ct"})


@dataclass(frozen=True, slots=True)
class Link:
    """A link: its path, and its attributes in order; one without a value is a flag."""

    path: str
    attributes: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        parts = [f"</{self.path}>"]
        for name, value in self.attributes:
            quoted = value if value is None or value.isdecimal() else f'"{value}"'
            parts.append(name if quoted is None else f"{name}={quoted}")
        return ";".join(parts)

    def values(self, name: str) -> list[str]:
        """Return what a query for the attribute ``name`` compares with; "href" is the path."""
        if name == "href":
            return [f"/{self.path}"]
        found = [value or "" for each, value in self.attributes if each == name]
        return [word for value in found for word in (value.split() if name in _LISTS else [value])]


def format_links(links: Iterable[Link], query: Iterable[str] = ()) -> bytes:
    """Return the links that match every part of ``query`` ("rt=light*"), as application/link-format.

    Raises:
        FieldError: a part of the query is not an attribute, "=" and a pattern.
    """
    wanted = [_parse(part) for part in query]
    found = (link for link in links if all(_matches(link, *each) for each in wanted))
    return ",".join(map(str, found)).encode()


def _parse(part: str) -> tuple[str, str]:
    name, equals, pattern = part.partition("=")
    if not equals or not name:
        raise FieldError("query", part, 'an attribute and a pattern, such as "rt=story-agent.*"')
    return name, pattern.removeprefix('"').removesuffix('"')


def _matches(link: Link, name: str, pattern: str) -> bool:
    values = link.values(name)
    if pattern.endswith("*"):
        return any(value.startswith(pattern[:-1]) for value in values)
    return pattern in values
