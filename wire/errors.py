"""What can be wrong with content that the other side sent.

Every error here is the peer's fault (or the file's), never ours and never the network's: retrying
the same bytes is pointless. Messages name the field, the value and what was expected.
"""

from __future__ import annotations

import json

# A message is for a log line or an API answer; a hostile value must not flood either.
SHOWN_VALUE_LIMIT = 80


class WireError(ValueError):
    """Content from the other side that does not follow its format."""


class FieldError(WireError):
    """One field of a message, file or request holds something else than its format says.

    Attributes:
        field: the field's name as the document spells it, with its path ("ota.size").
        expected: what would have been right, in words.
    """

    def __init__(self, field: str, value: object, expected: str, *, secret: bool = False) -> None:
        """Describe the mistake; a ``secret`` value is left out of the message."""
        shown = f"a {type(value).__name__} that is not shown" if secret else show(value)
        super().__init__(f"{field}: got {shown}, expected {expected}")
        self.field = field
        self.expected = expected


class MissingFieldError(FieldError):
    """A field that must be there is not."""

    def __init__(self, field: str, expected: str) -> None:
        """Describe which field is missing and what it should hold."""
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
    """Render a peer's value for a message: one line, printable, at most about ``limit`` characters."""
    if isinstance(value, bytes):
        value = value[: limit * 4].decode("utf-8", "backslashreplace")
    text = _render(value)
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
