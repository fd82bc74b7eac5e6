"""Memory that was needed for a moment, given back to the machine, and less of it for threads.

glibc keeps what is freed below something that is still in use: after a list of 2 MB some 10 MB, for as long as the
agent runs (docs/adr/0028).
"""

from __future__ import annotations

import contextlib
import ctypes

# Of glibc: mallopt(3).
_M_ARENA_MAX = -8
# One would let the threads wait for each other.
ARENAS = 2


def give_back() -> None:
    """Give freed memory back; takes some milliseconds. Without glibc there is nothing to do."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def share_arenas() -> None:
    """Let all threads share two of glibc's arenas; called before there are any.

    By default each gets one of its own and keeps there what it has freed: some 1 MB of an idle agent.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)
