"""How a cloud fetches a machine's diagnosis, the archive of ``story-agent diag``. Ours, not the document's.

For devices that say that they read it (`wire.abilities.DIAG`): ``POST /diag`` has the machine gather one, answered 2.04 at
once. ``GET /diag?part=N`` is answered 2.05 with ``{"state": "gathering"}``, ``{"state": "failed", "reason": …}`` or
``{"state": "ready", "size": bytes, "parts": count, "sha256": hex, "data": Base64 of part N}``; 4.04 if none was asked for.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from enum import StrEnum

from wire.errors import FieldError
from wire.fields import dump_object, get_int, get_string, parse_object
from wire.records import dataclass

# Bytes of a part: its Base64 goes over 8 kB/s within an answer's deadline of 10 s.
PART_BYTES = 24 * 1024
# Bytes of an archive that is given away; a larger one is made on the machine.
SIZE_LIMIT = 2 * 1024 * 1024
_SHA256 = re.compile("[0-9a-f]{64}")
_REASON_LIMIT = 500


class State(StrEnum):
    """How far the machine is."""

    GATHERING = "gathering"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Piece:
    """What the machine says: how far it is, and a part of the archive if it is ready.

    Attributes:
        state: how far.
        reason: why it failed.
        size: bytes of the whole archive; parts: how many it comes in; sha256: of the whole.
        data: this part.
    """

    state: State
    reason: str = ""
    size: int = 0
    parts: int = 0
    sha256: str = ""
    data: bytes = b""


def encode_piece(piece: Piece) -> bytes:
    """Build the payload of the answer to ``GET /diag``."""
    told: dict[str, object] = {"state": piece.state.value}
    if piece.state is State.FAILED:
        told["reason"] = piece.reason[:_REASON_LIMIT]
    if piece.state is State.READY:
        data = base64.b64encode(piece.data).decode()
        told |= {"size": piece.size, "parts": piece.parts, "sha256": piece.sha256, "data": data}
    return dump_object(told)


def parse_piece(payload: bytes) -> Piece:
    """Parse it; raises WireError that names the member."""
    source = parse_object(payload, "diag")
    told = get_string(source, "state")
    if told not in set(State):
        raise FieldError("state", told, f"one of {', '.join(State)}")
    state = State(told)
    if state is State.FAILED:
        return Piece(state, get_string(source, "reason", empty=True)[:_REASON_LIMIT])
    if state is State.GATHERING:
        return Piece(state)
    size = get_int(source, "size", low=1, high=SIZE_LIMIT)
    parts = get_int(source, "parts", low=1, high=SIZE_LIMIT)
    digest = get_string(source, "sha256")
    if not _SHA256.fullmatch(digest):
        raise FieldError("sha256", digest, "64 digits of lower-case hex")
    try:
        data = base64.b64decode(get_string(source, "data"), validate=True)
    except binascii.Error as error:
        raise FieldError("data", None, "Base64", secret=True) from error
    return Piece(state, "", size, parts, digest, data)


def part_query(part: int) -> tuple[str, ...]:
    """Build the query that asks for a part, from 0."""
    return (f"part={part}",)


def parse_part(query: Iterable[str]) -> int:
    """Return which part is asked for, 0 if none is named; raises FieldError."""
    values = dict(option.partition("=")[::2] for option in query)
    text = values.get("part", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise FieldError("part", text, "a part's number")
    return int(text)


def cut(archive: bytes, part: int, sha256: str) -> Piece | None:
    """Return a part of an archive, None if it has no such part."""
    parts = -(-len(archive) // PART_BYTES)
    if part >= parts:
        return None
    data = archive[part * PART_BYTES : (part + 1) * PART_BYTES]
    return Piece(State.READY, "", len(archive), parts, sha256, data)
