"""Ready wake words in English, from the package pymicro-wakeword (microWakeWord's models, Apache-2.0).

The package needs numpy: it is loaded in the wake word's child process alone, and only where such a word is set.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Final

from audio.embedding import EXTRA
from audio.errors import AudioError
from audio.wake_kinds import ReadyWord
from audio.wake_match import COOLDOWN_SECONDS, NEVER, Found
from audio.wake_ready_cards import CARDS

PACKAGE: Final = "pymicro_wakeword"
BLOCK_SECONDS: Final = 0.020
# Of the model's own limit on its probability: what comes so near is counted as a near miss.
NEAR_PART: Final = 0.6


class ReadyEar:
    """Hears one ready word."""

    def __init__(self, name: str) -> None:
        """Load its model; raises AudioError without the package or a card."""
        word = ReadyWord(name)
        doubts = CARDS[word].doubts() if word in CARDS else ["it has no card"]
        if doubts:
            raise AudioError(f"{name}: {'; '.join(doubts)}")
        if importlib.util.find_spec(PACKAGE) is None:
            raise AudioError(f"{PACKAGE} is not installed: pip install '{EXTRA}'")
        self._hearing = Hearing(word)

    def add(self, block: bytes) -> list[Found]:
        """Take 640 bytes; return what they complete."""
        return self._hearing.add(block)

    def reset(self) -> None:
        """Begin again."""
        self._hearing.reset()


class Hearing:
    """The model of one word, without a question whether it is good enough."""

    def __init__(self, word: ReadyWord) -> None:
        """Load the model; raises ImportError without the package."""
        from pymicro_wakeword import (  # noqa: PLC0415  # an extra
            MicroWakeWord,
            MicroWakeWordFeatures,
            Model,
        )

        self._word = word
        self._features: Any = MicroWakeWordFeatures()
        self._model: Any = MicroWakeWord.from_builtin(Model(word.value))
        self._limit = float(self._model.probability_cutoff)
        self._rest = 0.0
        self._highest = 0.0

    def add(self, block: bytes) -> list[Found]:
        """Take 640 bytes; return what they complete."""
        self._rest = max(0.0, self._rest - BLOCK_SECONDS)
        found = []
        for features in self._features.process_streaming(block):
            told = self._judge(self._model.process_streaming_prob(features) or 0.0)
            if told is not None and not self._rest:
                found.append(told)
                self._rest = COOLDOWN_SECONDS if told.hit else 0.0
        return found

    def _judge(self, probability: float) -> Found | None:
        if probability > self._limit:
            self._highest = 0.0
            return self._found(probability, hit=True)
        if probability > NEAR_PART * self._limit:
            self._highest = max(self._highest, probability)
            return None
        highest, self._highest = self._highest, 0.0
        return self._found(highest, hit=False) if highest else None

    def _found(self, probability: float, *, hit: bool) -> Found:
        left = 1.0 - self._limit
        share = (1.0 - probability) / left if left else NEVER
        return Found(str(self._word), hit=hit, distance=1.0 - probability, share=share)

    def reset(self) -> None:
        """Begin again."""
        self._features.reset()
        self._model.reset()
        self._highest = 0.0
