"""A report as a row of the outbox: its columns, what makes one valid, and what identifies it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from wire.errors import WireError
from wire.fields import parse_object
from wire.numbered import EPOCH_PATTERN
from wire.records import dataclass
from wire.reports import KEY_DEVICE_INFO, KEY_PACKAGE_INFO, KEYS_SYSTEM

# Reported after every start: a newer one replaces those before it that wait (`replaces`).
EACH_START = frozenset({KEY_DEVICE_INFO, KEY_PACKAGE_INFO})
# Of these, those of which one of each content is kept: a cloud counts an update as a success by event 10 and the version that ran then
# (device-protocol.md). A version that proved itself, and was left for the one before, must have been told.
EACH_VERSION = frozenset({KEY_PACKAGE_INFO})
# Bytes of a row's JSON. The cloud takes 64 KiB a request, of which the rest of the report needs a few.
BODY_MAX = 60_000
COLUMNS = ("id", "key", "body", "size", "epoch", "number", "time", "crc")


class BadRowError(ValueError):
    """A row does not hold a report: it was damaged, or written by something else.

    ``key`` is what its column of that name holds.
    """

    key = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One report that waits.

    Attributes:
        key: the report's key.
        body: the JSON of the whole ``data`` object, UTF-8.
        epoch: the start of the agent that made it (`wire.numbered`); None: an older version did.
        number: its number within the epoch; None: an older version made it.
        time: when it was made, UTC in ms; None if not known.
    """

    key: str
    body: str
    epoch: str | None = None
    number: int | None = None
    time: int | None = None

    @property
    def size(self) -> int:
        """The bytes of the JSON."""
        return len(self.body.encode())

    @property
    def crc(self) -> int:
        """CRC-32 of all other columns: SQLite has no checksums, and a flipped bit may make sense."""
        identity = f"{self.key}\0{self.body}\0{self.epoch}\0{self.number}\0{self.time}"
        return zlib.crc32(identity.encode())

    @property
    def data(self) -> dict[str, object]:
        """The ``data`` object."""
        return parse_object(self.body, self.key)

    @property
    def is_system(self) -> bool:
        """Whether it is on an update or on identity: such a report is never dropped."""
        return self.key in KEYS_SYSTEM


def replaces(newer: Row, older: Row) -> bool:
    """Return whether a report makes an older one that waits needless: both are of the same key in `EACH_START`, and of one in `EACH_VERSION` say the same."""
    is_same_key = newer.key == older.key and newer.key in EACH_START
    return is_same_key and (newer.key not in EACH_VERSION or newer.body == older.body)


def make_row(key: str, value: object, epoch: str, number: int, time: int | None) -> Row:
    """Return the row of the report ``{key: value}``; text that no JSON can carry is marked."""
    body = json.dumps({key: value}, ensure_ascii=False).encode(errors="replace").decode()
    return Row(key, body, epoch, number, time)


def parse_row(columns: Sequence[object]) -> Row:
    """Check the columns after ``id`` as they were stored, text as bytes; raises BadRowError."""
    key, body, size, epoch, number, time, crc = [*columns, *[None] * 4][:7]
    key, body = _text(key, "key"), _text(body, "body")
    if size != len(body.encode()):
        raise BadRowError(f"size: got {size!r:.20}, expected {len(body.encode())}")
    if len(body) > BODY_MAX:
        raise BadRowError(f"body: got {len(body)} characters, expected at most {BODY_MAX}")
    try:
        data = parse_object(body, "body")
    except WireError as error:
        raise BadRowError(str(error)) from error
    if list(data) != [key]:
        raise BadRowError("body: expected one member, named as the key")
    row = Row(key, body, *_identity(epoch, number), _time(time))
    if crc is not None and crc != row.crc:  # an older version stores none
        raise BadRowError(f"crc: got {crc!r:.20}, expected {row.crc}")
    return row


def _text(value: object, name: str) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise BadRowError(f"{name}: not UTF-8 text (byte {error.start})") from error
    if not isinstance(value, str):
        raise BadRowError(f"{name}: got {type(value).__name__}, expected text")
    return value


def _identity(epoch: object, number: object) -> tuple[str | None, int | None]:
    """Return the identity, or none, as rows of an older version have it."""
    if isinstance(epoch, bytes):
        epoch = epoch.decode("ascii", "replace")
    if not isinstance(epoch, str) or not EPOCH_PATTERN.fullmatch(epoch):
        return None, None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        return None, None
    return epoch, number


def _time(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
