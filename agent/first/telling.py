"""How the commands of a machine's first day speak: one language, a result, its cause and what to do."""

from __future__ import annotations

import contextlib
import sys

from agent.exits import EX_FAILED
from agent.words import Words, say

YES = {"y", "yes", "是", "好", "1"}


class Teller:
    """Prints for a person, in the language of this process; remembers what failed last."""

    failure: tuple[Words, Words | None] | None = None

    def say(self, words: Words) -> None:
        """Print one line; where nobody reads it any more, what was begun is done all the same."""
        with contextlib.suppress(BrokenPipeError):
            print(say(words), flush=True)

    def ask(self, words: Words) -> bool:
        """Ask; return whether the answer is yes. The end of the input is no."""
        print(say(words), end=" ", flush=True)
        try:
            return input().strip().lower() in YES
        except EOFError:
            print()
            return False

    def fail(self, cause: Words, remedy: Words | None = None) -> int:
        """Say on stderr what is wrong and what to do; return the exit code."""
        self.failure = cause, remedy
        print(f"story-agent: {say(cause)}", file=sys.stderr)
        if remedy is not None:
            print(f"    → {say(remedy)}", file=sys.stderr, flush=True)
        return EX_FAILED


def is_person(stream: object = None) -> bool:
    """Return whether somebody can be asked."""
    found = sys.stdin if stream is None else stream
    return bool(getattr(found, "isatty", bool)())
