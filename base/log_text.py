r"""The one place that makes text from elsewhere fit for a log: whatever a device, an app or a file says stays on its line.

Control characters, line breaks, half surrogates and what turns the direction of writing are written as escapes (``\n``,
``\x1b``, ``\u202e``), and a message has a limit. It is done by the formatter of every handler, so that no call can forget it. The
lines of a traceback begin with a bar, which no line of ours does.
"""

from __future__ import annotations

import logging
import unicodedata
from types import TracebackType

# Characters of a message; the longest of our own is a tenth of it.
MESSAGE_LIMIT = 4096
# Of one line of a traceback, and how many lines it may have: the first and the last are kept.
TRACE_LINE_LIMIT, TRACE_LINES_LIMIT = 1000, 200
TRACE_MARK = "    | "


def escape(text: str) -> str:
    """Return ``text`` with an escape for each character that is not printable; blanks stay."""
    if text.isprintable():
        return text
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return at most ``limit`` characters, and how many are left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit} more characters)"


class LineFormatter(logging.Formatter):
    """Writes each record as one line, and a traceback below it behind a mark."""

    def hide(self, text: str) -> str:
        """Return ``text`` without secrets; a formatter that knows of some has its own."""
        return text

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        """Return the record's line."""
        # Before it is cut: half a secret is found by nobody.
        record.message = cut(self.hide(escape(record.message)))
        return super().formatMessage(record)

    def formatException(  # noqa: N802  # the library's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return a traceback, each line behind the mark."""
        return self._marked(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # the library's name
        """Return a stack, each line behind the mark."""
        return self._marked(super().formatStack(stack_info))

    def _marked(self, text: str) -> str:
        lines = text.split("\n")
        if len(lines) > TRACE_LINES_LIMIT:
            half = TRACE_LINES_LIMIT // 2
            left_out = f"({len(lines) - 2 * half} lines are left out)"
            lines = [*lines[:half], left_out, *lines[-half:]]
        shown = (cut(self.hide(escape(line)), TRACE_LINE_LIMIT) for line in lines)
        return "\n".join(f"{TRACE_MARK}{line}" for line in shown)
