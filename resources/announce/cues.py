"""Which sounds the machine has, and when each of them is heard: decisions only, no sound.

A cue is a prompt (a spoken sentence) or a tone. What it says and its files: docs/sounds.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from pathlib import Path

from resources.announce.settings import Kind
from wire.records import dataclass


class Cue(StrEnum):
    """A cue's name; its files are ``{language}/{name}.opus``, a tone's ``tones/{name}.opus``."""

    # Why nothing happened.
    NOT_FOUND = "not-found"
    """No such title."""
    OFFER = "offer"
    """No such title; the names of the nearest follow."""
    FIRST = "first"
    """Before the first of two names."""
    SECOND = "second"
    """Before the second."""
    NO_NETWORK = "no-network"
    """The story is on the web, and the web cannot be reached."""
    BROKEN_OFF = "broken-off"
    """A story ended before its end."""
    NOT_ALLOWED = "not-allowed"
    """The parents' rules do not let anything play now."""
    LOCKED = "locked"
    """The child lock is on."""
    NOT_LISTENING = "not-listening"
    """The parents' hours or minutes of listening do not let the microphone be opened."""
    NOT_UNDERSTOOD = "not-understood"
    """Nothing was said, or it made no sense."""
    ERROR = "error"
    """Something else went wrong."""
    # What the machine is about to do, or has noticed.
    LOW_BATTERY = "low-battery"
    """The charge is below the level of a warning."""
    BATTERY_EMPTY = "battery-empty"
    """The machine is about to power off for want of charge."""
    CHARGING = "charging"
    """External power came."""
    TIMER_SOON = "timer-soon"
    """The sleep timer ends soon."""
    GOOD_NIGHT = "good-night"
    """The sleep timer's fade begins."""
    TIME_UP = "time-up"
    """The day's measure of the parents' rules is used up."""
    # What a hand or a voice has just done.
    LISTEN = "listen"
    """The microphone is open: speak now."""
    HEARD = "heard"
    """The microphone is closed again."""
    DONE = "done"
    """What was said has been done."""
    LIMIT = "limit"
    """The knob is at its end."""
    BLIP = "blip"
    """The knob was turned while nothing plays: how loud it is now."""


class AtNight(Enum):
    """What becomes of a cue while the machine is to be quiet."""

    SOFT = "softer"
    """Said, but softer: somebody is up and waits for it."""
    SILENT = "silent"
    """Not said: it would wake a child for nothing."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How one cue is said.

    Attributes:
        spoken: a sentence in the machine's language; otherwise a tone without one.
        at_night: what becomes of it at night.
        tone: the tone that takes a prompt's place where only tones are heard.
        at_once: it ends what is being said, and what waits is dropped: the microphone is open, and
            would hear the prompts.
    """

    spoken: bool = True
    at_night: AtNight = AtNight.SOFT
    tone: Cue | None = None
    at_once: bool = False


_PROMPT = Manner(tone=Cue.ERROR)
_NOTICE = Manner(at_night=AtNight.SILENT, tone=Cue.BLIP)
_TONE = Manner(spoken=False)
MANNERS: Mapping[Cue, Manner] = {
    Cue.NOT_FOUND: _PROMPT,
    Cue.OFFER: _PROMPT,
    Cue.FIRST: _PROMPT,
    Cue.SECOND: _PROMPT,
    Cue.NO_NETWORK: _PROMPT,
    Cue.BROKEN_OFF: _PROMPT,
    Cue.NOT_ALLOWED: _PROMPT,
    Cue.LOCKED: _PROMPT,
    Cue.NOT_LISTENING: _PROMPT,
    Cue.NOT_UNDERSTOOD: _PROMPT,
    Cue.ERROR: _TONE,
    Cue.LOW_BATTERY: _NOTICE,
    Cue.BATTERY_EMPTY: Manner(tone=Cue.ERROR),
    Cue.CHARGING: Manner(spoken=False, at_night=AtNight.SILENT),
    Cue.TIMER_SOON: _TONE,
    Cue.GOOD_NIGHT: Manner(tone=Cue.DONE),
    Cue.TIME_UP: Manner(tone=Cue.DONE),
    Cue.LISTEN: Manner(spoken=False, at_once=True),
    Cue.HEARD: _TONE,
    Cue.DONE: _TONE,
    Cue.LIMIT: _TONE,
    Cue.BLIP: _TONE,
}

NOTICES = frozenset({Cue.LOW_BATTERY, Cue.CHARGING, Cue.TIMER_SOON, Cue.GOOD_NIGHT, Cue.TIME_UP})
"""What nobody has asked for: it is said when the microphone is closed, which would take it for the child's words."""


# Decibels against the day's; prompts are 3 LU softer than stories are brought to as it is.
NIGHT_GAIN = -12.0


@dataclass(frozen=True, slots=True)
class Saying:
    """What is to sound.

    Attributes:
        name: the file's name.
        spoken: a prompt; otherwise a tone.
        gain: in decibels.
        then: what follows without a pause: other cues, and sounds that were made for this.
    """

    name: Cue
    spoken: bool
    gain: float
    then: tuple[Cue | Path, ...] = ()


def decide(cue: Cue, kind: Kind, *, night: bool) -> Saying | None:
    """Return what sounds for ``cue``, None for nothing.

    A low battery is silent at night: the power-off that follows it is not, since it ends a story.
    """
    manner = MANNERS[cue]
    if kind is Kind.NONE or (night and manner.at_night is AtNight.SILENT):
        return None
    gain = NIGHT_GAIN if night else 0.0
    if manner.spoken and kind is Kind.TONES:
        return None if manner.tone is None else Saying(manner.tone, spoken=False, gain=gain)
    return Saying(cue, spoken=manner.spoken, gain=gain)
