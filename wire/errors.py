"""Errors for content that does not follow its format.

The sender (or the file) is at fault, not this program or the network, so retrying with the same
bytes cannot help. Messages name the field, the value and what was expected.
"""

from __future__ import annotations

import json

# Characters. Messages go to logs and API answers; a hostile value must not flood them.
SHOWN_VALUE_LIMIT = 80


class WireError(ValueError):
    """Received content does not follow its format."""


class FieldError(WireError):
    """A field of a message, file or request has an invalid value.

    Attributes:
        field: the field's name as the document spells it, with its path ("ota.size").
        expected: a description of the valid values.
    """

    def __init__(self, field: str, value: object, expected: str, *, secret: bool = False) -> None:
        """Build the message, without the value if it is ``secret``."""
        shown = f"a {type(value).__name__} that is not shown" if secret else show(value)
        super().__init__(f"{field}: got {shown}, expected {expected}")
        self.field = field
        self.expected = expected


class MissingFieldError(FieldError):
    """A required field is missing."""

    def __init__(self, field: str, expected: str) -> None:
        """Build the message from the missing field's name and its expected content."""
        WireError.__init__(self, f"{field}: missing, expected {expected}")
        self.field = field
        self.expected = expected


def _render(value: object) -> str:
    for render in (lambda v: json.dumps(v, ensure_ascii=False), repr):
        try:
            return render(value)
        except (TypeError, ValueError, RecursionError):  # not JSON; too many digits; too deep
            continue
    return f"a {type(value).__name__} that cannot be shown"


def show(value: object, limit: int = SHOWN_VALUE_LIMIT) -> str:
    """Render a received value for a message: one printable line of at most ``limit`` characters."""
    if isinstance(value, bytes):
        value = value[: limit * 4].decode("utf-8", "backslashreplace")
    text = _render(value)
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
