"""The update order and its reports (device protocol, "OTA order" and "Report keys").

The cloud sends ``PUT /newfirmware``; the device answers 2.04 if it accepts the order, then reports
``ota_event`` and ``ota_state``. Two extensions of ours (docs/adr/0013): the member ``forced``, and
``DELETE /newfirmware?transaction=…``, which cancels an order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from enum import IntEnum, StrEnum
from urllib.parse import urlsplit

from wire.errors import FieldError, MissingFieldError
from wire.fields import dump_object, get_int, get_object, get_string, is_object, parse_object
from wire.records import dataclass
from wire.text import is_printable

ORDER_PATH = ("newfirmware",)
VERSION_PATTERN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,7}")
MD5_PATTERN = re.compile(r"[0-9a-fA-F]{32}")
# Bytes of a transaction: it must fit into the Uri-Query that cancels it (255, RFC 7252 5.10).
TRANSACTION_MAX = 128
# Characters of a package's URL; a signed one of a store has some hundreds.
URL_MAX = 4096
# Hex digits of an order's fingerprint.
FINGERPRINT_DIGITS = 16
# 64 GiB: far above the size of any image, far below what would overflow a size field.
SIZE_MAX = 64 * 2**30


class InstallerKind(StrEnum):
    """What a package is, and so which installer of a machine takes it (signed with the package)."""

    SLOTS = "slots"
    """A release of the agent, in its own folder; only the agent restarts."""
    RAUC = "rauc"
    """An image of the whole system, installed by RAUC; the machine reboots."""


class OtaEvent(IntEnum):
    """Values of ``ota_event.event``.

    The older firmware in the open API's example agrees on 0, 4 and 10 only. Events 33 to 38
    come from the bootloader.
    """

    BEGIN = 0
    CONNECT_FAIL = 1
    CONNECTION_LOST = 2
    TIMEOUT = 3
    DOWNLOADING = 4
    DOWNLOAD_COMPLETE = 5
    DOWNLOAD_FAIL = 6
    INSTALLING = 7
    IMAGE_INVALID = 8
    WRITE_ERROR = 9
    INSTALLED = 10
    DELETED = 11
    REJECT = 12
    UNPACK_FAIL = 30
    CHECKSUM_FAIL = 31
    ERASE_FLASH_FAIL = 32
    BOOT_WRITE_ERROR = 33
    BOOT_CHECKSUM_ERROR = 34
    BOOT_IMAGE_ERROR = 35
    BOOT_VERSION_ERROR = 36
    BOOT_UNPACK_ERROR = 37
    BOOT_ERASE_ERROR = 38

    @property
    def has_percent(self) -> bool:
        """Whether the report carries ``percent`` (events 4 and 7 only)."""
        return self in (OtaEvent.DOWNLOADING, OtaEvent.INSTALLING)


class OtaState(IntEnum):
    """Values of ``ota_state.state``."""

    IDLE = 0
    DOWNLOADING = 1
    DOWNLOADED = 2
    INSTALLING = 3
    INSTALLED = 4


@dataclass(frozen=True, slots=True)
class OtaOrder:
    """The cloud's order to update.

    ``url``, ``size`` (bytes) and ``signature`` (MD5, hexadecimal) are hints: a mismatch refuses a
    package, but only TUF metadata makes one trusted. ``forced``: restart without waiting for a
    quiet moment.
    """

    transaction: str
    version: str
    old_version: str
    url: str
    size: int
    signature: str
    forced: bool = False

    @property
    def fingerprint(self) -> str:
        """What tells two orders of one transaction apart: a cloud that was set up anew counts from 1 again."""
        members = [self.version, self.url, str(self.size), self.signature]
        return hashlib.sha256("\n".join(members).encode()).hexdigest()[:FINGERPRINT_DIGITS]


def order_payload(order: OtaOrder) -> bytes:
    """Build the payload of ``PUT /newfirmware``; ``forced`` is included only if it is set."""
    members = asdict(order)
    if not order.forced:
        del members["forced"]
    return dump_object({"ota": members})


def parse_order(payload: bytes) -> OtaOrder:
    """Parse the payload of ``PUT /newfirmware``: one object inside one object, under any key.

    Raises:
        WireError: the payload is invalid; the message names the member.
    """
    wrapper = parse_object(payload, "order")
    inner = list(wrapper.values())
    if len(inner) != 1 or not is_object(inner[0]):
        raise FieldError("order", wrapper, 'one object in one object, {"ota": {…}}')
    source = inner[0]
    return OtaOrder(
        transaction=_get_transaction(source),
        version=_get_version(source, "version"),
        old_version=_get_version(source, "old_version"),
        url=_get_url(source),
        size=get_int(source, "size", path="ota.", low=1, high=SIZE_MAX),
        signature=_get_md5(source),
        forced=_get_forced(source),
    )


def cancel_query(transaction: str) -> tuple[str]:
    """Build the Uri-Query option of ``DELETE /newfirmware``."""
    return (f"transaction={transaction}",)


def parse_cancel_query(options: Iterable[str]) -> str:
    """Return the transaction that ``DELETE /newfirmware`` cancels; raises MissingFieldError."""
    values = dict(option.partition("=")[::2] for option in options)
    if not values.get("transaction"):
        raise MissingFieldError("transaction", "a Uri-Query option with a value")
    return values["transaction"]


def _get_transaction(source: Mapping[str, object]) -> str:
    value = get_string(source, "transaction", path="ota.")
    if len(value.encode()) > TRANSACTION_MAX or not is_printable(value):
        raise FieldError(
            "ota.transaction", value, f"1 to {TRANSACTION_MAX} bytes of printable text"
        )
    return value


def _get_version(source: Mapping[str, object], name: str) -> str:
    value = get_string(source, name, path="ota.")
    version_key(value, field=f"ota.{name}")
    return value


def _get_url(source: Mapping[str, object]) -> str:
    value = get_string(source, "url", path="ota.")
    expected = f"an http or https URL of at most {URL_MAX} characters"
    if len(value) > URL_MAX:
        raise FieldError("ota.url", value, expected)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:  # invalid address in brackets, or non-numeric port
        raise FieldError("ota.url", value, expected) from error
    # urlsplit silently drops line breaks, and a blank would split the HTTP request line.
    if not usable or not is_printable(value) or any(character.isspace() for character in value):
        raise FieldError("ota.url", value, expected)
    return value


def _get_forced(source: Mapping[str, object]) -> bool:
    value = source.get("forced", False)
    if not isinstance(value, bool):
        raise FieldError("ota.forced", value, "true or false")
    return value


def _get_md5(source: Mapping[str, object]) -> str:
    value = get_string(source, "signature", path="ota.")
    if not MD5_PATTERN.fullmatch(value):
        raise FieldError("ota.signature", value, "an MD5 digest, 32 hexadecimal digits")
    return value.lower()


def version_key(version: str, field: str = "version") -> tuple[int, ...]:
    """Return a sort key for a version: "1.10" sorts after "1.9", "1.0" equals "1.0.0.0".

    Raises:
        FieldError: not numbers joined by dots; ``field`` is the name to use in the message.
    """
    if not VERSION_PATTERN.fullmatch(version):
        raise FieldError(field, version, 'a version such as "1.2.0": numbers joined by dots')
    parts = [int(part) for part in version.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class OtaEventReport:
    """One ``ota_event`` report; ``percent`` (0..1) is for events 4 and 7 only."""

    transaction: str
    event: OtaEvent
    description: str | None = None
    percent: float | None = None

    def to_json(self) -> dict[str, object]:
        """Build the value of ``ota_event``; like the document, it writes 0 and 1 as integers."""
        value: dict[str, object] = {}
        if self.percent is not None:
            value["percent"] = int(self.percent) if self.percent in {0, 1} else self.percent
        value |= {"transaction": self.transaction, "event": int(self.event)}
        return value | ({"description": self.description} if self.description else {})


def parse_event(value: object) -> OtaEventReport:
    """Parse the value of ``ota_event``; raises WireError that names the member.

    ``percent`` is read only for the events that carry it, and is clamped to 0..1.
    """
    source = get_object({"ota_event": value}, "ota_event")
    number = get_int(source, "event", path="ota_event.", high=255)
    if number not in set(OtaEvent):
        raise FieldError("ota_event.event", number, "a known event number (0-12, 30-38)")
    event = OtaEvent(number)
    return OtaEventReport(
        transaction=get_string(source, "transaction", path="ota_event."),
        event=event,
        description=_get_description(source),
        percent=_get_percent(source) if event.has_percent else None,
    )


def _get_description(source: Mapping[str, object]) -> str | None:
    value = source.get("description")
    if value is not None and not isinstance(value, str):
        raise FieldError("ota_event.description", value, "a string or null")
    return value or None


def _get_percent(source: Mapping[str, object]) -> float:
    value = source.get("percent")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError("ota_event.percent", value, "a number from 0 to 1")
    return float(min(1, max(0, value)))  # clamp first: float() overflows on a huge integer


def state_report(transaction: str, state: OtaState) -> dict[str, object]:
    """Build the value of ``ota_state``."""
    return {"transaction": transaction, "state": int(state)}


def parse_state(value: object) -> tuple[str, OtaState]:
    """Parse the value of ``ota_state`` into transaction and state; raises WireError."""
    source = get_object({"ota_state": value}, "ota_state")
    state = get_int(source, "state", path="ota_state.", high=max(OtaState))
    return get_string(source, "transaction", path="ota_state."), OtaState(state)
