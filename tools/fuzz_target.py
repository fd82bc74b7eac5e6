"""One reader of strangers' bytes, as `tools.fuzz` and `tools.fuzz_guided` feed it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wire.errors import WireError


@dataclass(frozen=True, slots=True)
class Target:
    """One reader: what it is given, and the errors by which it may refuse."""

    name: str
    good: Sequence[bytes]
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...] = (WireError,)


def as_text(data: bytes) -> str:
    """Return the text of a message: what is no UTF-8 is replaced, as the doors do."""
    return data.decode("utf-8", "replace")
