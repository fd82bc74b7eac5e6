"""One limit on lines of the log that say the same again: what a peer sends must not fill a disk.

A line's kind is its text before the values are filled in, and its first value, which names the peer. A
burst of each kind is logged, then one line in ten seconds. What names ever new peers is limited by the
text alone. The line before a gap says that others will be left out, the one after it how many were.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable

from wire.records import dataclass

# Lines of one kind at once, and seconds until one more: enough to see what happens, and 9,000 a day.
KIND_BURST, KIND_SECONDS = 20, 10.0
# The same for one text whatever it names: a thousand devices that come back are seen, a scanner is not.
TEXT_BURST, TEXT_SECONDS = 1000, 0.5
# Kinds that are remembered; the one that was logged longest ago is forgotten.
KINDS_LIMIT = 2000
# Characters of a line's first value: longer ones differ in what a peer made up.
WHO_LENGTH = 80

# Each connection of a peer has another port.
_PORT = re.compile(r":\d{1,5}\b")


@dataclass(slots=True)
class _Bucket:
    """What is left of a burst, when it was counted, and what was left out since the last line."""

    tokens: float
    counted: float
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a line.

    Attributes:
        logged: whether it is logged.
        left_out: how many of its kind were not, since the last one that was.
        is_last: whether the next one will not be, if it comes at once.
    """

    logged: bool
    left_out: int = 0
    is_last: bool = False


class Allowance:
    """Decides by counting; no I/O."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start with full bursts; ``monotonic`` counts seconds."""
        self._monotonic = monotonic
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()

    def ask(self, text: str, who: str) -> Verdict:
        """Decide on a line of a text that names ``who``."""
        kind = self._bucket((text, who), KIND_BURST, KIND_SECONDS)
        whole = self._bucket((text,), TEXT_BURST, TEXT_SECONDS)
        short = next((each for each in (kind, whole) if each.tokens < 1), None)
        if short is not None:
            short.left_out += 1
            return Verdict(logged=False)
        left_out = kind.left_out + whole.left_out
        for each in (kind, whole):
            each.tokens -= 1
            each.left_out = 0
        return Verdict(True, left_out, kind.tokens < 1 or whole.tokens < 1)

    def _bucket(self, key: tuple[str, ...], burst: int, seconds: float) -> _Bucket:
        now = self._monotonic()
        bucket = self._buckets.setdefault(key, _Bucket(burst, now))
        self._buckets.move_to_end(key)
        while len(self._buckets) > KINDS_LIMIT:
            self._buckets.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.counted) / seconds)
        bucket.counted = now
        return bucket


class LogLimit(logging.Filter):
    """Applies the limit to a handler's records."""

    def __init__(self, allowance: Allowance | None = None) -> None:
        """Count by ``allowance``, by default one of its own."""
        super().__init__()
        self._allowance = allowance or Allowance()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged; its text may get a remark on those that are not."""
        text = str(record.msg)
        verdict = self._allowance.ask(f"{record.name} {text[:WHO_LENGTH]}", _who(record))
        if verdict.left_out:
            text += f" ({verdict.left_out} more lines of this kind were left out before)"
        if verdict.is_last:
            text += " (more lines of this kind are left out for a while)"
        record.msg = text
        return verdict.logged


def _who(record: logging.LogRecord) -> str:
    """Return the first value of a record, which names the peer, without its port."""
    arguments = record.args
    first = arguments[0] if isinstance(arguments, tuple) and arguments else ""
    return _PORT.sub("", str(first)[:WHO_LENGTH])
