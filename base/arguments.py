"""Command lines: their words in any order, and their numbers.

``argparse`` fills a positional argument that may be missing at the first option behind it, before Python 3.13 gave that
up: ``lan add --json kitchen`` had no name, and ``kitchen`` was not recognised.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from typing import Any

# Of a whole number: every store and every protocol of ours takes so many.
DIGITS_MAX = 18
# A negative number is none, and a lone dash is standard input.
_OPTION = re.compile(r"-(?!\d+$|\d*\.\d+$|$)")
_MAY_BE_MISSING = frozenset({argparse.OPTIONAL, argparse.ZERO_OR_MORE})
_MANY = frozenset({argparse.ZERO_OR_MORE, argparse.ONE_OR_MORE})


class Parser(argparse.ArgumentParser):
    """A parser whose positional arguments may stand before, between and behind the options."""

    def parse_known_args(  # type: ignore[override]  # argparse has four overloads of it
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Read a command line as `argparse.ArgumentParser` does; it is given in any order."""
        kinds = {action.nargs for action in self._actions if not action.option_strings}
        if args is not None and kinds & _MAY_BE_MISSING and argparse.PARSER not in kinds:
            args = [*self._sort(args)]
        return super().parse_known_args(args, namespace)

    def _sort(self, words: Sequence[str]) -> Iterator[str]:
        """Return the options, each with its values, then what is none."""
        others: list[str] = []
        at = 0
        while at < len(words) and words[at] != "--":
            count = 1 + self._count_values(words, at)
            if _OPTION.match(words[at]):
                yield from words[at : at + count]
            else:
                others.append(words[at])
            at += count
        yield from ("--", *others, *words[at + 1 :])

    def _count_values(self, words: Sequence[str], at: int) -> int:
        """Return how many words behind ``words[at]`` are its values: none but for an option that takes some."""
        name, has_value, _ = words[at].partition("=")
        found = {
            action.dest: action
            for text, action in self._option_string_actions.items()
            if text == name or (name[:2] == "--" and text.startswith(name))
        }
        exact = self._option_string_actions.get(name)
        if has_value or not (exact or len(found) == 1):
            return 0
        takes = (exact or next(iter(found.values()))).nargs
        if takes is None or isinstance(takes, int):
            return 1 if takes is None else takes
        most = len(words) if takes in _MANY else at + 2
        values = words[at + 1 : most]
        return next((n for n, word in enumerate(values) if word[:1] == "-"), len(values))


def whole(text: str) -> int:
    """Return a whole number, for argparse: what is none is told with what was expected, and not by a type's name."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS_MAX):
        from wire.errors import show  # noqa: PLC0415  # a machine's start reads this module

        raise argparse.ArgumentTypeError(
            f"got {show(text)}, expected a whole number of at most {DIGITS_MAX} digits"
        )
    return int(text)
