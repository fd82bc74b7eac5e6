"""What the machine says about what happens to its stories: an event in, a cue out."""

from __future__ import annotations

from collections.abc import Mapping

from resources.announce.cues import Cue
from resources.playing.events import Ended, Event, Kind, Refused

CUES: Mapping[Kind, Cue] = {
    Kind.NOT_FOUND: Cue.NOT_FOUND,
    Kind.NO_NETWORK: Cue.NO_NETWORK,
    Kind.BROKEN_OFF: Cue.BROKEN_OFF,
    Kind.NOT_ALLOWED: Cue.NOT_ALLOWED,
    Kind.LOCKED: Cue.LOCKED,
    Kind.NOTHING: Cue.LIMIT,
}


def react(event: Event, *, told: bool) -> Cue | None:
    """Return what to say about ``event``, None for nothing.

    ``told``: whether a refusal is told aloud. At night it is only to somebody who is at the machine: the order
    may be a parent's, from the app, whose answer says it too. A story that breaks off had a listener.
    """
    match event:
        case Refused(kind):
            return CUES[kind] if told else None
        case Ended(finished=False, reason=str()):
            return Cue.BROKEN_OFF
        case _:
            return None
