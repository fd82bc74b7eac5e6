"""Numbers of a proof's command line, for argparse: what is none, or is out of its bounds, is told with what was expected.

Without bounds a proof of no runs passes, one of -1 hours has no end, and the error of one of 0 days is a traceback.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(low: int, high: float = math.inf) -> Callable[[str], int]:
    """Return the reader of a whole number from ``low`` to ``high``."""

    def read(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = low - 1
        if not low <= found <= high:
            bounds = f"of at least {low}" if high == math.inf else f"from {low} to {high:g}"
            raise _wrong(text, f"a whole number {bounds}")
        return found

    return read


def amount(low: float = 0.0, *, or_equal: bool = False) -> Callable[[str], float]:
    """Return the reader of a finite number above ``low``; ``or_equal``: it may be ``low`` itself."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not (low < found < math.inf or (or_equal and found == low)):
            bound = "of at least" if or_equal else "above"
            raise _wrong(text, f"a number {bound} {low:g}")
        return found

    return read


def _wrong(text: str, expected: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"got {text!r}, expected {expected}")
