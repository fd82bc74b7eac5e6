"""How a proof ends that is told to: with a word and no traceback, and without what it left in folders.

`run_main` is for programs that end by their own clean-up. A simulation's is left out (`leave_nothing`): threads of its
machines wait for each other, and connections of the dead cannot be closed.
"""

from __future__ import annotations

import posix
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

# Of a program that is ended by a signal, as shells tell it.
ENDED = 128
_SIGNS = (signal.SIGINT, signal.SIGTERM)
# What a simulation replaces later.
_exec, _write = posix.execv, posix.write

folders: set[str] = set()
"""What `leave_nothing` removes."""


class _EndedError(KeyboardInterrupt):
    """The process was told to end."""


def run_main(main: Callable[[], int]) -> NoReturn:
    """Be the program ``main``; one that is told to end leaves by its own ``finally`` and ``with``."""
    said: list[int] = []

    def end(number: int, _frame: object) -> None:
        if not said:  # a second one must not break the clean-up off
            said.append(number)
            raise _EndedError

    for sign in _SIGNS:
        signal.signal(sign, end)
    try:
        code = main()
    except _EndedError:
        print("ended before its end", file=sys.stderr)
        code = ENDED + said[0]
    sys.exit(code)


def leave_nothing() -> None:
    """From now on, let this process end at once when it is told to, and its `folders` with it."""

    def end(number: int, _frame: object) -> None:
        _write(2, b"ended before its end\n")
        # Another program in our place: nothing of this one is run any more, and its threads are gone.
        script = 'rm -rf -- "$@"; exit "$0"'
        _exec("/bin/sh", ["sh", "-c", script, str(ENDED + number), *sorted(folders)])

    for sign in _SIGNS:
        signal.signal(sign, end)
