"""The column type for JSON: what cannot be read back as JSON spoils its own row alone.

A row may hold what was let in before the doors had bounds, or what damage made of it: a number that became
infinite, half a surrogate, a text that is cut. Read as it is, one such row ended the list of all devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, Dialect
from sqlalchemy.types import TypeDecorator

from wire.fields import INT64_MAX, MAX_DEPTH


def readable(value: object, depth: int = MAX_DEPTH) -> Any:  # noqa: PLR0911  # one line a type
    """Return a stored value as JSON can have it: null for a number that is none, or that has over 64 bits.

    What is nested deeper than a device may report is null too; half a surrogate becomes a question mark.
    """
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case bool() | None:
            return value
        case int():
            return value if -INT64_MAX - 1 <= value <= INT64_MAX else None
        case float():
            return value if math.isfinite(value) else None
        case list() if depth:
            return [readable(item, depth - 1) for item in value]
        case dict() if depth:
            return {readable(str(k)): readable(item, depth - 1) for k, item in value.items()}
    return None


class StoredJson(TypeDecorator[Any]):
    """JSON that is read back with care."""

    impl = JSON
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what makes a value of a column's content."""
        read = self.impl_instance.dialect_impl(dialect).result_processor(dialect, coltype)

        def process(content: Any) -> Any:
            try:
                return readable(content if read is None else read(content))
            except (ValueError, TypeError, RecursionError):
                return None

        return process
