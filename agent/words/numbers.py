"""Numbers of a command line: one that is none, or is outside of its bounds, is told with what was expected."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from agent.words import Words, say
from base.arguments import DIGITS_MAX

SECONDS = Words("秒", "seconds")
HOURS = Words("小时", "hours")
PORT_MAX = 65535


def number(low: float, high: float, unit: Words) -> Callable[[str], float]:
    """Return what argparse reads an option by: a number from ``low`` to ``high``, in ``unit``."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not low <= found <= high:  # nor is what is no number at all
            bounds = f"{low:g} 到 {high:g} {unit.zh}", f"{low:g} to {high:g} {unit.en}"
            raise _wrong(text, Words(*bounds))
        return found

    return read


def count(low: int, high: int, unit: Words) -> Callable[[str], int]:
    """Return what argparse reads an option by: a whole number from ``low`` to ``high``, in ``unit``."""

    def read(text: str) -> int:
        is_whole = text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
        if not (is_whole and low <= int(text) <= high):
            bounds = f"{low} 到 {high} {unit.zh}", f"{low} to {high} {unit.en}"
            raise _wrong(text, Words(*bounds))
        return int(text)

    return read


def port(text: str) -> int:
    """Return a port on which something is to listen, 0 for any; raises what argparse tells."""
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) <= PORT_MAX):
        raise _wrong(text, Words(f"0 到 {PORT_MAX} 的端口", f"a port from 0 to {PORT_MAX}"))
    return int(text)


def _wrong(text: str, expected: Words) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(
        say(Words(f"得到 {text!r}，应为 {expected.zh}", f"got {text!r}, expected {expected.en}"))
    )
