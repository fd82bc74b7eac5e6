"""Blocks of 20 ms in, wake words out: the sound's level decides when points are worth their computing.

A quiet room costs a tenth of what speech does. What the level lets through is what `audio.vad` calls clearly
louder than the room, and a second after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from audio.embedding import STEP_BYTES, STEP_SECONDS, Embedder
from audio.vad import FLOOR_FIRST, FLOOR_RISE, QUIETEST, loudness
from audio.wake_match import Found, Matcher, Word

BLOCK_SECONDS = 0.020
# Decibels above the room's noise. Less than speech needs elsewhere: a point too many costs only power.
ABOVE_FLOOR = 6.0
# A point tells of 0.775 s; a word of four syllables has pauses of half that.
HANG_SECONDS = 1.0


class Activity:
    """Whether something sounds, or did in the last second."""

    def __init__(self) -> None:
        """Begin as if something had just sounded."""
        self._floor = FLOOR_FIRST
        self._left = HANG_SECONDS

    def add(self, block: bytes) -> bool:
        """Take 20 ms; return whether points are worth computing."""
        level = loudness(block)
        self._floor = min(level, self._floor + FLOOR_RISE)
        if level > max(self._floor + ABOVE_FLOOR, QUIETEST):
            self._left = HANG_SECONDS
        else:
            self._left = max(0.0, self._left - BLOCK_SECONDS)
        return self._left > 0


class Ear(Protocol):
    """Hears one kind of word."""

    def add(self, block: bytes, /) -> list[Found]:
        """Take 640 bytes; return what they complete."""

    def reset(self) -> None:
        """Begin again: what comes next does not follow what came."""


class FamilyEar:
    """Hears words that a family has recorded."""

    def __init__(self, folder: Path, words: Sequence[Word]) -> None:
        """Load the models of ``folder`` (`audio.embedding.find_models`); raises AudioError."""
        self._embedder = Embedder(folder)
        self.matcher = Matcher(words)
        self.points = 0
        """How many were computed since the start."""
        self._activity = Activity()
        self._waiting = bytearray()
        self._active = False

    def add(self, block: bytes) -> list[Found]:
        """Take 640 bytes; four of them are one point."""
        self._waiting += block
        self._active = self._activity.add(block) or self._active
        if len(self._waiting) < STEP_BYTES:
            return []
        step, self._waiting = bytes(self._waiting), bytearray()
        active, self._active = self._active, False
        return self._step(step) if active else self._skip(step)

    def _step(self, step: bytes) -> list[Found]:
        points = self._embedder.add(step)
        self.points += len(points)
        return [found for point in points if (found := self.matcher.step(point)) is not None]

    def _skip(self, step: bytes) -> list[Found]:
        self._embedder.skip(step)
        self.matcher.rest(STEP_SECONDS)
        return []

    def reset(self) -> None:
        """Begin again after a silence of the machine's own making."""
        self._embedder.reset()
        self.matcher.reset()
        self._waiting.clear()
        self._active = False
