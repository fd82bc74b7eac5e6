"""Where an utterance begins and ends: blocks in, START and END out. It knows no clock and no device.

Time is counted in blocks of 20 ms, so the same sound always gives the same utterance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from audio.ring import Ring
from audio.vad import Vad

BLOCK_SECONDS = 0.020
# Speech begins when three of five blocks are speech: a click is one or two.
BEGIN_WINDOW, BEGIN_BLOCKS = 5, 3
# A detector mistakes some blocks of a room's noise; a pause may hold this part of them.
PAUSE_MISTAKES = 0.1
# After a wake word a child often goes on at once, into the machine's cue. If it still speaks so soon after the
# cue, what was said during the cue belongs to it; else it was the cue alone.
RECALL_SECONDS = 0.5
# The cue, and what came before it: more would be another sentence.
RECALLED_SECONDS = 3.0


class Event(Enum):
    """What a block tells."""

    START = "the child began to speak"
    END = "the child has ended"
    LIMIT = "the utterance is as long as one may be"


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """Durations in seconds."""

    pre_roll: float = 0.3
    """What is kept of the time before speech was noticed: the first syllable's soft beginning."""
    pause: float = 0.7
    """The silence that ends an utterance; children pause for half a second between words."""
    limit: float = 15.0
    """The longest utterance, pre-roll included."""

    def blocks(self, seconds: float) -> int:
        """Return a duration in blocks, at least one."""
        return max(1, round(seconds / BLOCK_SECONDS))


@dataclass(frozen=True, slots=True)
class Step:
    """What one block leads to: ``event``, and the blocks of the utterance to send now."""

    event: Event | None = None
    blocks: tuple[bytes, ...] = ()


class Endpointer:
    """Finds one utterance in a stream of blocks; after its end it finds the next one."""

    def __init__(self, vad: Vad, rules: EndpointRules | None = None) -> None:
        """Ask ``vad`` about each block."""
        self._vad = vad
        self._rules = rules or EndpointRules()
        self._ring = Ring(self._rules.blocks(self._rules.pre_roll) + BEGIN_WINDOW)
        self._pause = self._rules.blocks(self._rules.pause)
        self._held = False
        self._recalled: deque[bytes] | None = None
        self._left = 0
        self._wait()

    def _wait(self) -> None:
        self._sent = 0
        self._votes: deque[bool] = deque(maxlen=BEGIN_WINDOW)

    @property
    def speaking(self) -> bool:
        """Whether an utterance has begun and not ended."""
        return self._sent > 0

    def add(self, block: bytes) -> Step:
        """Take the next block; the blocks of an utterance come back once, in their order."""
        self._votes.append(self._vad.is_speech(block))
        return self._go_on(block) if self.speaking else self._look(block)

    def hold(self) -> None:
        """Take every block from now on for speech: somebody holds a button, and its release ends the utterance."""
        self._held = True

    def keep(self, block: bytes) -> None:
        """Take a block that is not to be judged, as while the machine's own cue sounds; no utterance begins.

        It may still be the time before an utterance. Not to be called while one goes on.
        """
        self._votes.clear()
        self._ring.add(block)
        if self._recalled is not None:
            self._recalled.append(block)

    def recall(self, blocks: Iterable[bytes]) -> None:
        """Take the sound since a wake word: with what is kept from now on it is the utterance's beginning.

        If no speech is noticed within `RECALL_SECONDS` of the last block kept, it was none.
        """
        self._recalled = deque(blocks, maxlen=self._rules.blocks(RECALLED_SECONDS))
        self._left = self._rules.blocks(RECALL_SECONDS)

    def _begin(self) -> tuple[bytes, ...]:
        """Return the blocks before the begin was noticed."""
        blocks = self._ring.take()
        recalled, self._recalled = self._recalled, None
        return blocks if recalled is None else tuple(recalled)

    def _recall_on(self, block: bytes) -> None:
        if self._recalled is None:
            return
        self._recalled.append(block)
        self._left -= 1
        if self._left < 0:
            self._recalled = None

    def _look(self, block: bytes) -> Step:
        self._ring.add(block)
        self._recall_on(block)
        if sum(self._votes) < BEGIN_BLOCKS and not self._held:
            return Step()
        blocks = self._begin()
        self._sent = len(blocks)
        # As if speech had come all along: a pause is counted from now.
        self._votes = deque([True] * self._pause, maxlen=self._pause)
        return Step(Event.START, blocks)

    def _go_on(self, block: bytes) -> Step:
        self._sent += 1
        if sum(self._votes) <= self._pause * PAUSE_MISTAKES and not self._held:
            event = Event.END
        elif self._sent >= self._rules.blocks(self._rules.limit):
            event = Event.LIMIT
        else:
            return Step(None, (block,))
        self._wait()
        return Step(event, (block,))
