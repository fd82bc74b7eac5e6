"""From one utterance's sound to what was said: texts, candidates, their comparison, one decision.

Whatever model hears it: one that cannot score phrases is believed by its texts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from audio.pcm import Pcm
from staging.recognition.candidates import Candidate, candidate, heard_sounds, shortlist
from staging.recognition.decision import decide
from staging.recognition.hearing import Hearing
from staging.recognition.intents import Action, Intent, find_intent, forbids, named_alone
from staging.recognition.titles import NoTitleError, TitleIndex
from wire.errors import WireError

# Above it nobody spoke, whatever the texts say. Speech is under it, in noise too; what is not speech
# and under it explains no candidate.
SILENCE_MAX = 0.8
# Nats by which the best candidate explains any speech better than silence does, and the same a syllable:
# of digital silence and of noise a long title explains up to 4.3 in all, and 0.6 a syllable.
SPEECH_MIN, SPEECH_SYLLABLE_MIN = 2.0, 0.7
# Of the best candidate's distance from the texts: so near it is what one of them says.
SAID = 0.1
# Mean log probability of a text that is believed without a comparison: by a model that cannot compare,
# and by one that can, for a sentence that is no candidate (再听三个就停).
BELIEVED_MIN, SURE_MIN = -0.95, -0.3


class Recogniser(Protocol):
    """What hears: `recogniser.Recogniser` with its process, or another."""

    async def hear(self, sound: Pcm) -> Hearing:
        """Return what a sound may be; raises RecogniserError."""

    async def score(self, phrases: Sequence[str]) -> Sequence[float] | None:
        """Return how well the sound heard last fits each phrase, as `SpeechModel.score`."""

    async def warm_up(self) -> None:
        """Get ready to hear soon; never raises for a recogniser that cannot."""

    async def rest_when_idle(self) -> None:
        """Free what an idle recogniser need not have."""

    async def close(self) -> None:
        """End."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What was said: an intent whose title is the catalogue's, or the reason that there is none."""

    text: str | None
    """The sentence, as a person says it; None: nobody spoke."""
    intent: Intent | None = None
    nearest: tuple[str, ...] = ()
    """If a title was asked for and not found: up to two that come nearest."""
    error: str | None = None
    exact: bool = False
    """Whether the intent's title is one of the catalogue, as it is written there."""


async def understand(
    recogniser: Recogniser, sound: Pcm, index: TitleIndex | None, answers: Mapping[str, Intent]
) -> Understood:
    """Return what was said; ``answers`` are sentences that mean something just now.

    Raises:
        RecogniserError: nothing can be heard now.
    """
    hearing = await recogniser.hear(sound)
    best = hearing.best
    if best is None or hearing.silence > SILENCE_MAX:
        return Understood(None, error="no speech was heard")
    heard = heard_sounds(hearing)
    more = [
        replace(candidate(phrase, intent, heard), expected=True)
        for phrase, intent in answers.items()
    ]
    candidates = await asyncio.to_thread(shortlist, hearing, index, more)
    scores = await recogniser.score([each.phrase for each in candidates]) if candidates else []
    if scores is None:
        return believed(hearing, BELIEVED_MIN, index)
    if not is_speech(candidates, scores):
        return Understood(None, error="no speech was heard")
    decision = decide(candidates, scores)
    if decision.taken is not None:
        return Understood(decision.taken.phrase, decision.taken.intent, exact=True)
    if decision.nearest:
        error = f"no title sounds like it; the nearest is {decision.nearest[0]}"
        return Understood(best.text, nearest=decision.nearest, error=error)
    # Without a catalogue the device itself knows which titles it has.
    return believed(hearing, BELIEVED_MIN if index is None else SURE_MIN, index)


def is_speech(candidates: Sequence[Candidate], scores: Sequence[float]) -> bool:
    """Return whether the candidate that explains the sound best explains any of it, or is what a text says."""
    pairs = zip(scores, candidates, strict=True)
    score, best = max(pairs, key=lambda pair: (pair[0], pair[1].syllables), default=(0.0, None))
    if best is None:
        return False
    said = best.distance <= SAID and score > 0
    return said or score >= max(SPEECH_MIN, SPEECH_SYLLABLE_MIN * best.syllables)


def believed(hearing: Hearing, at_least: float, index: TitleIndex | None) -> Understood:
    """Return what the likeliest text says, if it is as likely as ``at_least``."""
    best = hearing.best
    if best is None:
        return Understood(None, error="no speech was heard")
    if best.log_probability < at_least:
        return Understood(best.text, error="it was not heard well enough to act on")
    try:
        return _read(best.text, index)
    except NoTitleError as failure:
        return Understood(best.text, nearest=failure.nearest, error=str(failure))
    except WireError as failure:
        return Understood(best.text, error=str(failure))


def _read(text: str, index: TitleIndex | None) -> Understood:
    """Return what a text says; raises NoTitleError, WireError."""
    intent = find_intent(text)
    names = named_alone(text) if intent is None and not forbids(text) else ()
    alone = index.any_alone(names) if index is not None else None
    if alone is not None:
        return Understood(text, Intent(Action.PLAY, alone.title), exact=True)
    if intent is None or (intent.action is Action.PLAY and not intent.title):
        return Understood(text, error="there is no command in it")
    return Understood(text, intent)
