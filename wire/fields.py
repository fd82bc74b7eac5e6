"""Typed access to JSON members; errors name the member, its value and what was expected."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypeGuard

from wire.errors import FieldError, MissingFieldError, WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

# JSON integers are unbounded; no field in either document needs more than 64 bits.
INT64_MAX = 2**63 - 1
# No format here nests deeper than six; the limit keeps a peer from exhausting Python's recursion.
MAX_DEPTH = 32

_ABSENT = object()


def parse_object(payload: bytes | str, what: str) -> dict[str, object]:
    """Parse JSON text that must be one object; ``what`` names it in error messages.

    The result can be serialized again: no NaN or infinity, no lone surrogates, at most MAX_DEPTH
    levels. The last of several members with the same name wins. An error message never shows a
    value that is not an object, because it may contain a secret.

    Raises:
        WireError: the bytes are not UTF-8, not JSON, or not an object.
    """
    try:
        text = payload.decode("utf-8") if isinstance(payload, bytes) else payload
        value = json.loads(text, parse_constant=_refuse_constant)
        _check_tree(value, what)
    except UnicodeError as error:
        place = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        raise WireError(f"{what}: not UTF-8 text{place}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise WireError(f"{what}: not JSON ({error.msg} at {place})") from error
    except WireError:
        raise
    except RecursionError as error:
        raise WireError(f"{what}: not usable JSON (nested too deep)") from error
    except _NoNumberError as error:
        raise WireError(f"{what}: not usable JSON ({error} is no number)") from error
    except ValueError as error:
        raise WireError(f"{what}: not usable JSON (a number of too many digits)") from error
    if not is_object(value):
        raise FieldError(what, value, "a JSON object", secret=True)
    return value


class _NoNumberError(ValueError):
    """NaN or an infinity, which Python's reader takes and JSON has not."""


def _refuse_constant(name: str) -> float:
    raise _NoNumberError(name)


def _check_tree(value: object, what: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not item.isascii():
                item.encode()  # raises UnicodeEncodeError for a lone surrogate
            elif isinstance(item, float) and not math.isfinite(item):
                raise WireError(f"{what}: not usable JSON (a number too large)")
        if not below:
            return
        level = below
    raise WireError(f"{what}: not usable JSON (nested deeper than {MAX_DEPTH} levels)")


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Return whether a parsed JSON value is an object."""
    return isinstance(value, dict)


def dump_object(value: Mapping[str, object]) -> bytes:
    """Serialize an object as compact UTF-8 JSON, members in order; NaN and infinity are refused."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def get_string(
    source: Mapping[str, object],
    name: str,
    *,
    path: str = "",
    secret: bool = False,
    empty: bool = False,
) -> str:
    """Return the member ``name``, which must be a string (and not empty unless ``empty``)."""
    expected = "a string" if empty else "a string that is not empty"
    value = _get(source, name, path, expected)
    if not isinstance(value, str) or not (value or empty):
        raise FieldError(path + name, value, expected, secret=secret)
    return value


def get_int(
    source: Mapping[str, object],
    name: str,
    *,
    path: str = "",
    low: int = 0,
    high: int = INT64_MAX,
) -> int:
    """Return the member ``name``, which must be an integer from ``low`` to ``high``."""
    expected = _integers(low, high)
    value = _get(source, name, path, expected)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise FieldError(path + name, value, expected)
    return value


def _integers(low: int, high: int) -> str:
    """Describe a range; a bound that is only that of the format is no number that tells a person anything."""
    if high < INT64_MAX:
        return f"an integer from {low} to {high}"
    return "an integer of 64 bits" if low <= -INT64_MAX else f"an integer of at least {low}"


def get_object(
    source: Mapping[str, object], name: str, *, path: str = "", secret: bool = False
) -> dict[str, object]:
    """Return the member ``name``, which must be a JSON object."""
    value = _get(source, name, path, "a JSON object")
    if not is_object(value):
        raise FieldError(path + name, value, "a JSON object", secret=secret)
    return value


def _get(source: Mapping[str, object], name: str, path: str, expected: str) -> object:
    value = source.get(name, _ABSENT)
    if value is _ABSENT:
        raise MissingFieldError(path + name, expected)
    return value
