"""What the proof's devices said, what the cloud has, and what is wrong with that. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What happened; numbers are of one device each, and no two devices have the same.

    Attributes:
        said: the numbers that an outbox had taken.
        may_be: numbers that a kill cut off: they may be in the outbox, or not.
        stored: how many rows the cloud has of each.
        of_others: numbers that the cloud has under another device than the one that said them.
        died: processes of devices that ended by an error.
        repeats: reports that the cloud dropped, as it had them.
    """

    said: set[int] = field(default_factory=set)
    may_be: set[int] = field(default_factory=set)
    died: int = 0
    device_kills: int = 0
    cloud_kills: int = 0
    stored: Counter[int] = field(default_factory=Counter)
    of_others: int = 0
    repeats: int = 0
    cuts: int = 0
    seconds: float = 0.0

    @property
    def lost(self) -> set[int]:
        """Numbers that an outbox had and the cloud has not."""
        return self.said - set(self.stored)

    @property
    def invented(self) -> set[int]:
        """Numbers that the cloud has and no outbox ever had."""
        return set(self.stored) - self.said - self.may_be

    @property
    def twice(self) -> int:
        """How many rows the cloud has too many."""
        return self.stored.total() - len(self.stored)

    @property
    def wrong(self) -> int:
        """How many reports are not stored once, under their device, or were never said; and how many devices died."""
        return len(self.lost) + len(self.invented) + self.twice + self.of_others + self.died

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def report(self) -> str:
        """Return the result in one paragraph."""
        return (
            f"{len(self.said)} reports in {self.seconds:.0f} s, {self.cuts} connections cut at a random"
            f" byte, {self.device_kills} kills of devices and {self.cloud_kills} of the cloud:"
            f" {len(self.lost)} lost, {len(self.invented)} invented, {self.twice} stored twice,"
            f" {self.of_others} under another device, {self.died} devices ended by an error; the cloud dropped {self.repeats} repeats."
        )
