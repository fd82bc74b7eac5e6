"""The wire log as a file: one JSON object a line, which people read and programs replay (docs/wire-log.md). No I/O.

The first line says what it is. Every other line is an entry: when (``ts``, Unix milliseconds, and ``at``, seconds since
the first entry), which way, the bytes as hex with ``*`` (2a) for secrets, and what they say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wire.errors import FieldError, WireError
from wire.fields import get_int, get_string, parse_object

FORMAT = "story-wire/1"
_WAYS = {"up", "down", "note"}


def head(uuid: str, now_ms: int) -> str:
    """Return the first line."""
    return _line({"format": FORMAT, "uuid": uuid, "exported": now_ms})


def lines(entries: Iterable[Mapping[str, Any]], start_ms: int | None = None) -> Iterator[str]:
    """Yield the line of each entry (`staging.wirelog.log.Entry.to_json`).

    ``start_ms``: the time from which ``at`` is counted; None: the first entry's.
    """
    for entry in entries:
        start_ms = entry["ts"] if start_ms is None else start_ms
        yield _line({**entry, "at": round((entry["ts"] - start_ms) / 1000, 3)})


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One frame of a file.

    Attributes:
        at: seconds since the file's first entry.
        way: "up": the device said it; "down": the cloud.
        link: "coap" or "mqtt".
        connection: which of the connections in the file.
        data: the bytes.
        hidden: whether there are ``*`` in place of secrets, which who replays it puts its own for.
        problem: why it is no frame; "": it is one.
    """

    at: float
    way: str
    link: str
    connection: int
    data: bytes
    hidden: bool
    problem: str


def read(text: Iterable[str]) -> Iterator[Replayed]:
    """Yield the frames in the lines of a file, in their order.

    Raises:
        WireError: a line is none of this format; it names the line.
    """
    for number, line in enumerate(text, 1):
        try:
            source = parse_object(line, "entry")
            if number == 1:
                if source.get("format") != FORMAT:
                    raise FieldError("format", source.get("format"), FORMAT)
                continue
            found = _entry(source)
        except WireError as error:
            raise WireError(f"line {number}: {error}") from error
        if found is not None:
            yield found


def _entry(source: Mapping[str, object]) -> Replayed | None:
    way = get_string(source, "way")
    if way not in _WAYS:
        raise FieldError("way", way, "up, down or note")
    if way == "note":
        return None
    at, text = source.get("at"), get_string(source, "hex")
    if isinstance(at, bool) or not isinstance(at, (int, float)) or at < 0:
        raise FieldError("at", at, "seconds since the first entry")
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise FieldError("hex", text, "bytes in hexadecimal") from error
    problem = source.get("problem", "")
    link, connection = get_string(source, "link"), get_int(source, "connection")
    return Replayed(
        float(at), way, link, connection, data, source.get("hidden") is True, str(problem)
    )
