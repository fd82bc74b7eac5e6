"""Memory that was needed for a moment, given back to the machine.

glibc keeps what is freed below something that is still in use: after a list of 2 MB some 10 MB, for as long as the
agent runs (docs/adr/0028).
"""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Give freed memory back; takes some milliseconds. Without glibc there is nothing to do."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
