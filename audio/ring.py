"""The last moments of a sound, kept so that the first syllable is not lost to its own detection."""

from __future__ import annotations

from collections import deque


class Ring:
    """Holds the newest blocks, up to ``blocks`` of them; older ones fall out."""

    def __init__(self, blocks: int) -> None:
        """Hold ``blocks``, at least one."""
        if blocks < 1:
            raise ValueError(f"blocks: got {blocks}, expected 1 or more")
        self._held: deque[bytes] = deque(maxlen=blocks)

    def add(self, block: bytes) -> None:
        """Add the newest block."""
        self._held.append(block)

    def take(self) -> tuple[bytes, ...]:
        """Return all blocks, the oldest first, and hold none of them any more."""
        taken = tuple(self._held)
        self._held.clear()
        return taken
