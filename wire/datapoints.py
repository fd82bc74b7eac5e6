"""Data points as the open API describes them (section 3.1), and the rules for their values.

A value is transmitted as text: ``"7"``, ``"true"``, a title. CoAP, HTTP and the open API's
``content`` carry the same text; this module checks it against type and pattern for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from wire.errors import FieldError
from wire.fields import INT64_MAX, get_int, get_object, get_string, parse_object
from wire.records import dataclass
from wire.text import is_printable

# Bytes of UTF-8: longer than any real title, and still fits in one block (RFC 7959).
STRING_LIMIT = 1024
# Characters: enough for any 64-bit integer with its sign.
INT_TEXT_LIMIT = 20

Value = int | bool | str


class DataType(StrEnum):
    """The types that a data point's value can have."""

    STRING = "string"
    INT = "int"
    BOOL = "bool"


class Method(StrEnum):
    """The operations on a data point: GET reads it, PUT sets it."""

    GET = "GET"
    PUT = "PUT"


@dataclass(frozen=True, slots=True)
class Range:
    """The pattern of an integer: from ``low`` to ``high``, both included, in steps of ``step``."""

    low: int
    high: int
    step: int = 1

    def to_json(self) -> dict[str, object]:
        """Render the description's ``pattern``."""
        return {"min": self.low, "max": self.high, "step": self.step}

    def __str__(self) -> str:
        """Describe the range in words, for an error message."""
        return f"an integer from {self.low} to {self.high} in steps of {self.step}"


@dataclass(frozen=True, slots=True)
class DataPointDescription:
    """One entry of the self-description, with the open API's keys.

    ``pattern`` is a Range for integers, ``{}`` where the document shows an empty pattern, and None
    where it shows none. ``path`` is the resource's path on the device; empty means ``/{name}``.
    ``limit`` is the most bytes of UTF-8 of a string value; the self-description does not tell it.
    """

    name: str
    type: DataType
    label: str
    description: str
    methods: tuple[Method, ...]
    pattern: Range | Mapping[str, object] | None = None
    resource_type: str = ""
    protocols: tuple[str, ...] = ("COAP", "HTTP")
    path: str = ""
    limit: int = STRING_LIMIT

    @property
    def uri(self) -> str:
        """The resource's path on the device."""
        return self.path or f"/{self.name}"

    def to_json(self) -> dict[str, object]:
        """Render the entry with its keys in the document's order."""
        pattern = self.pattern.to_json() if isinstance(self.pattern, Range) else self.pattern
        return {
            "name": self.name,
            "resourceType": self.resource_type,
            "type": self.type.value,
            "label": self.label,
            "description": self.description,
            **({} if pattern is None else {"pattern": dict(pattern)}),
            "uri": self.uri,
            "protocol": list(self.protocols),
            "method": [method.value for method in self.methods],
        }


def self_description(points: Iterable[DataPointDescription]) -> dict[str, object]:
    """Build the ``data`` member of the answer to ``GET /v1/device/resource`` (open API 3.1)."""
    return {"resources": [point.to_json() for point in points], "report": []}


def parse_self_description(payload: bytes) -> dict[str, object]:
    """Check a device's self-description and return it unchanged, extra members included.

    Raises:
        WireError: an entry does not follow the document; the message names entry and member.
    """
    source = parse_object(payload, "self-description")
    resources = source.get("resources")
    if not isinstance(resources, list):
        raise FieldError("resources", resources, "a list of data points")
    for index, entry in enumerate(resources):
        parse_description(entry, path=f"resources[{index}].")
    return source


def parse_description(entry: object, path: str = "") -> DataPointDescription:
    """Parse one entry of a self-description; raises WireError that names the member."""
    source = get_object({path.rstrip("."): entry}, path.rstrip("."))
    kind = _get_choice(source, "type", path, DataType)
    return DataPointDescription(
        name=get_string(source, "name", path=path),
        resource_type=get_string(source, "resourceType", path=path, empty=True),
        type=DataType(kind),
        label=get_string(source, "label", path=path, empty=True),
        description=get_string(source, "description", path=path, empty=True),
        pattern=_get_pattern(source, path, DataType(kind)),
        protocols=tuple(_get_strings(source, "protocol", path)),
        methods=_get_methods(source, path),
        path=_get_uri(source, path),
    )


def parse_value(point: DataPointDescription, text: str) -> Value:
    """Parse a value's text and check it against the data point's type and pattern.

    Raises:
        FieldError: wrong type, out of range, or not on a step; names data point and expectation.
    """
    if point.type is DataType.INT:
        return _parse_int(point, text)
    if point.type is DataType.BOOL:
        return _parse_bool(point, text)
    # A lone surrogate is not printable, so encode() cannot fail here.
    if not text or not is_printable(text) or len(text.encode()) > point.limit:
        raise FieldError(point.name, text, f"1 to {point.limit} bytes of printable text")
    return text


def format_value(value: Value) -> str:
    """Render a value as the text that is transmitted."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parse_int(point: DataPointDescription, text: str) -> int:
    allowed = point.pattern if isinstance(point.pattern, Range) else None
    expected = str(allowed) if allowed else "an integer"
    digits = text.removeprefix("-")
    if len(text) > INT_TEXT_LIMIT or not (digits.isascii() and digits.isdigit()):
        raise FieldError(point.name, text, expected)
    value = int(text)
    if abs(value) > INT64_MAX:
        raise FieldError(point.name, text, f"{expected}, in 64 bits")
    if allowed and not (
        allowed.low <= value <= allowed.high and (value - allowed.low) % allowed.step == 0
    ):
        raise FieldError(point.name, value, expected)
    return value


def _parse_bool(point: DataPointDescription, text: str) -> bool:
    # The open API's content is always a string, and some apps send "1" for a switch.
    values = {"true": True, "1": True, "false": False, "0": False}
    if text not in values:
        raise FieldError(point.name, text, '"true" or "false"')
    return values[text]


def _get_pattern(
    source: Mapping[str, object], path: str, kind: DataType
) -> Range | dict[str, object] | None:
    if "pattern" not in source:
        return None
    pattern = get_object(source, "pattern", path=path)
    if kind is not DataType.INT or not pattern:
        return pattern
    inner = f"{path}pattern."
    low = get_int(pattern, "min", path=inner, low=-INT64_MAX)
    high = get_int(pattern, "max", path=inner, low=-INT64_MAX)
    if high < low:
        raise FieldError(f"{inner}max", high, f"at least {inner}min, which is {low}")
    return Range(low, high, get_int(pattern, "step", path=inner, low=1) if "step" in pattern else 1)


def _get_uri(source: Mapping[str, object], path: str) -> str:
    value = get_string(source, "uri", path=path)
    if not value.startswith("/"):
        raise FieldError(f"{path}uri", value, "a path that starts with /")
    return "" if value == f"/{source['name']}" else value


def _get_methods(source: Mapping[str, object], path: str) -> tuple[Method, ...]:
    names = _get_strings(source, "method", path)
    unknown = [name for name in names if name not in set(Method)]
    if unknown or not names:
        raise FieldError(f"{path}method", names, "a list of GET, PUT")
    return tuple(Method(name) for name in names)


def _get_choice(source: Mapping[str, object], name: str, path: str, choices: type[StrEnum]) -> str:
    value = get_string(source, name, path=path)
    if value not in set(choices):
        raise FieldError(path + name, value, "one of " + ", ".join(choices))
    return value


def _get_strings(source: Mapping[str, object], name: str, path: str) -> list[str]:
    value = source.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FieldError(path + name, value, "a list of strings")
    return value
