"""The orders that the data point ``play`` takes, as text: a command, what to play, or JSON. Pure.

The words are the open API document's, those that people say, and English. What is none of them is the
name of something to play.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from wire.text import fold


class Command(Enum):
    """Commands that can be sent instead of a title."""

    NEXT = ("下一首", "next")
    PREVIOUS = ("上一首", "previous")
    PAUSE = ("暂停", "pause")
    RESUME = ("继续", "resume")
    STOP = ("停止", "stop")


@dataclass(frozen=True, slots=True)
class Play:
    """Play these titles, folders or URLs in place of what plays."""

    wanted: tuple[str, ...]


Order = Command | Play


def parse_order(text: str) -> Order:
    """Return the order that ``text`` is: a command, or what to play without a leading 播放."""
    wanted = text.strip()
    for command in Command:
        if fold(wanted) in command.value:
            return command
    return Play((wanted.removeprefix("播放").strip() or wanted,))


def starts_sound(order: Order) -> bool:
    """Return whether an order may make something sound that did not: gates are asked about those."""
    return order not in {Command.PAUSE, Command.STOP}
