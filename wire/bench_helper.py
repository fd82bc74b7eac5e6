"""What the cloud's fault bench and ``story-agent bench-helper`` say to each other: one line of JSON each way.

The bench asks for one fault on a connection of its own. A lasting fault lasts as long as the connection, so that it
ends with the cloud, and no longer than its seconds. The token keeps other users of the computer away.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import field

from wire.errors import FieldError, WireError, show
from wire.fields import dump_object, get_object, get_string, parse_object
from wire.records import dataclass

LINE_LIMIT = 4096
TOKEN_MIN = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fault that the bench asks for: its name and values (`staging.bench.faults`), and the helper's token."""

    name: str
    values: Mapping[str, int | str]
    token: str = field(default="", repr=False)

    def is_from(self, token: str) -> bool:
        """Return whether it was asked by somebody who has the helper's ``token``."""
        return len(token) >= TOKEN_MIN and hmac.compare_digest(self.token.encode(), token.encode())

    def number(self, name: str) -> int:
        """Return a value that is a number; raises FieldError."""
        value = self.values.get(name)
        if isinstance(value, int):
            return value
        raise FieldError(name, value, "a whole number")


def encode_wanted(wanted: Wanted) -> bytes:
    """Return the line that asks for a fault."""
    told = {"token": wanted.token, "name": wanted.name, "values": dict(wanted.values)}
    return dump_object(told) + b"\n"


def parse_wanted(line: bytes) -> Wanted:
    """Return what a line asks for; raises WireError."""
    source = parse_object(line, "request")
    values: dict[str, int | str] = {}
    for name, value in get_object(source, "values", secret=True).items():
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise FieldError(f"values.{name}", value, "a whole number or a text")
        values[name] = value
    return Wanted(get_string(source, "name"), values, get_string(source, "token", secret=True))


@dataclass(frozen=True, slots=True)
class Told:
    """The helper's answer: what it did, or why it did not."""

    done: bool
    text: str


def encode_told(told: Told) -> bytes:
    """Return the line of an answer."""
    return dump_object({"done": told.done, "text": told.text}) + b"\n"


def parse_told(line: bytes) -> Told:
    """Return the answer in a line; raises WireError."""
    source = parse_object(line, "answer")
    done = source.get("done")
    if not isinstance(done, bool):
        raise WireError(f"done: got {show(done)}, expected true or false")
    return Told(done, get_string(source, "text"))
