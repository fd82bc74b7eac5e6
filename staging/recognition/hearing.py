"""What a speech model is to recognition: sound in, several possible texts out, and scores on demand.

Whisper (`staging.recognition.whisper`) is one; ``serve --recogniser MODULE:FACTORY`` plugs in another.
It is loaded in the worker process, so that it may hang, crash and use memory as it likes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audio.pcm import Pcm
from staging.errors import StagingError

CHECK = "--check"
"""The worker's argument that only looks whether a factory is there."""
DEFAULT_MODEL = "staging.recognition.whisper:load"
# The texts of one sound that anybody looks at; more only differ in their punctuation.
HYPOTHESES_MAX = 20


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One text that a sound may be."""

    text: str
    log_probability: float
    """Mean over the text's parts (tokens, characters), at most 0."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What one sound may be."""

    hypotheses: tuple[Hypothesis, ...]
    """The likeliest first; none: nobody spoke."""
    silence: float
    """Probability that nobody spoke, 0 to 1."""

    @property
    def best(self) -> Hypothesis | None:
        """The likeliest text."""
        return self.hypotheses[0] if self.hypotheses else None


class SpeechModel(Protocol):
    """A model in the worker process; any exception of it costs one utterance."""

    def hear(self, sound: Pcm) -> Hearing:
        """Return what a sound of at most a minute may be, at 8,000 or 16,000 samples/s."""

    def score(self, phrases: Sequence[str]) -> Sequence[float] | None:
        """Return how much better than silence the sound heard last explains each phrase.

        In nats, the logarithm of the ratio of both probabilities; above 0: rather this than nothing.
        None: this model cannot tell; then the hypotheses alone decide.
        """


Factory = Callable[[Path], SpeechModel]
"""Loads a model; the argument is a folder where it may keep files between runs."""


def find_factory(name: str) -> Factory:
    """Return the factory that ``MODULE:FACTORY`` names; raises StagingError."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise StagingError(f"recogniser: got {name!r}, expected MODULE:FACTORY")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a module of others raises
        reason = str(error) or type(error).__name__
        raise StagingError(f"recogniser {name}: {reason}") from error
    if not callable(found):
        raise StagingError(f"recogniser {name}: expected a function that loads a model")
    factory: Factory = found
    return factory
