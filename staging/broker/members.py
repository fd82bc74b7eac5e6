"""Which worker does what of a device's work that only one may do. No I/O.

Every worker knows who is there (retained topics, cleared by their wills), and all come to the same
result without asking each other: a shard belongs to the worker with the highest hash of both names
(rendezvous hashing). When a worker goes, only its own shards change their owner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from wire.topics import SHARDS, shard_of


class Members:
    """The workers that are there, this one among them."""

    def __init__(self, who: str) -> None:
        """Start alone, as ``who``."""
        self.who = who
        self._others: set[str] = set()
        self._owned = self._count()

    @property
    def owned(self) -> frozenset[int]:
        """The shards of this worker."""
        return self._owned

    @property
    def others(self) -> Collection[str]:
        """The other workers."""
        return frozenset(self._others)

    def owns(self, uuid: str) -> bool:
        """Return whether this worker is the one for a device."""
        return shard_of(uuid) in self._owned

    def note(self, who: str, *, is_there: bool) -> bool:
        """Note that a worker came or went; return whether this one's shards changed."""
        if who == self.who:
            return False
        if is_there:
            self._others.add(who)
        else:
            self._others.discard(who)
        before, self._owned = self._owned, self._count()
        return before != self._owned

    def _count(self) -> frozenset[int]:
        every = {self.who, *self._others}
        return frozenset(shard for shard in range(SHARDS) if _owner(shard, every) == self.who)


def _owner(shard: int, members: Collection[str]) -> str:
    return max(members, key=lambda who: (hashlib.sha256(f"{shard}/{who}".encode()).digest(), who))
