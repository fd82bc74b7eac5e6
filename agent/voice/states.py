"""The states of listening, as a table: which event leads where, what is to be done, and after how long.

Pure: `agent.voice.listener` waits for the events and does what the table says. Every state in which the
microphone is open or the story is silent has a deadline, so that none of them can be stuck in.
docs/listening.md draws the table, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum


class State(StrEnum):
    """What the machine does about listening; the values are shown in ``status``."""

    IDLE = "idle"
    """The microphone is closed."""
    OPENING = "opening"
    """The story is silent, and the microphone has given nothing yet."""
    WAITING = "waiting"
    """The microphone is open, and nobody has spoken yet."""
    ASKED = "asked"
    """Nobody spoke, and the child was told; a last chance."""
    SPEAKING = "speaking"
    """The child speaks, and the cloud hears it."""
    ANSWERING = "answering"
    """The microphone is closed; the rest is being sent, and the cloud's order or answer is awaited."""
    OFFERING = "offering"
    """No such title: the child is told the nearest, and is listened to once more."""
    FAULT = "fault"
    """It did not work, and the child is told so."""
    MUTED = "muted"
    """Somebody has closed the microphone: it is not opened."""


class Event(StrEnum):
    """What can happen."""

    LISTEN = "listen"
    """Somebody wants to speak: the command, the local API, a button."""
    CANCEL = "cancel"
    """Somebody does not want to any more."""
    MUTE = "mute"
    UNMUTE = "unmute"
    OPENED = "opened"
    """The first block has arrived."""
    TOLD = "told"
    """What the machine said or played about it has been heard."""
    BEGAN = "began"
    """Speech has begun."""
    ENDED = "ended"
    """Speech has ended, or is as long as it may be."""
    ANSWERED = "answered"
    """The cloud has sent an order after the utterance, or has answered that it is done."""
    NOT_UNDERSTOOD = "not_understood"
    """The cloud has answered that it found no command in it."""
    NOT_FOUND = "not_found"
    """The cloud has answered that there is no such title."""
    OFFERED = "offered"
    """The same, with the nearest titles."""
    REFUSED = "refused"
    """The cloud has answered that it cannot be done."""
    UNHEARD = "unheard"
    """The names of the nearest titles could not be said."""
    BROKEN = "broken"
    """The microphone is faulty."""
    LOST = "lost"
    """The link is down, or too slow for live speech."""
    DEADLINE = "deadline"
    """The state's time is over."""


class Effect(Enum):
    """What is to be done, in the order of the table."""

    OPEN = "silence the story, and open the microphone"
    CLOSE = "close the microphone"
    CUE = "let the cue sound: speak now"
    SEND = "begin an utterance with what came before it"
    FINISH = "send the rest of the utterance and its end"
    DROP = "drop the utterance: nothing of it is sent any more"
    ASK = "say that nothing was heard"
    TELL_FAULT = "say that the microphone does not work"
    TELL_LOST = "say that there is no network"
    TELL_NOT_UNDERSTOOD = "say that it was not understood"
    TELL_NOT_FOUND = "say that there is no such title"
    OFFER = "say the names of the nearest titles"
    HEARD = "let the closing cue sound"


REST = frozenset({State.IDLE, State.MUTED})
"""The states that may last: the microphone is closed and the story goes on."""

SECONDS: Mapping[State, float] = {
    # Two tries of the 3 s in which a back end must give its first block (`machine.microphone`).
    State.OPENING: 6.5,
    State.WAITING: 5.0,
    State.ASKED: 4.0,
    # The endpointer ends an utterance after 15 s of blocks; this is for blocks that come slowly.
    State.SPEAKING: 17.0,
    # The rest takes 0.1 s on a good link; the cloud then recognises for 1 to 2 s and sends its order. It carries
    # nothing out that it has understood later than 5.5 s after the end: the child is told here that it failed.
    State.ANSWERING: 7.0,
    # A prompt of 2 s, and two names of up to 4 s with a word before each.
    State.OFFERING: 15.0,
    # Long enough for "no network" to be said before the story goes on.
    State.FAULT: 2.5,
}
"""The deadline of every state that is none of `REST`."""

Way = tuple[State, tuple[Effect, ...]]

_OPEN_STATES = (State.OPENING, State.WAITING, State.ASKED, State.SPEAKING)


def _table() -> dict[tuple[State, Event], Way]:
    closed = (Effect.DROP, Effect.CLOSE)
    ways: dict[tuple[State, Event], Way] = {
        (State.IDLE, Event.LISTEN): (State.OPENING, (Effect.OPEN,)),
        (State.IDLE, Event.LOST): (State.FAULT, (Effect.TELL_LOST,)),
        (State.OPENING, Event.OPENED): (State.WAITING, (Effect.CUE,)),
        (State.OPENING, Event.DEADLINE): (State.FAULT, (*closed, Effect.TELL_FAULT)),
        (State.WAITING, Event.DEADLINE): (State.ASKED, (Effect.ASK,)),
        (State.ASKED, Event.DEADLINE): (State.IDLE, (Effect.CLOSE, Effect.HEARD)),
        (State.SPEAKING, Event.ENDED): (State.ANSWERING, (Effect.FINISH, Effect.CLOSE, Effect.HEARD)),
        (State.SPEAKING, Event.DEADLINE): (
            State.ANSWERING, (Effect.FINISH, Effect.CLOSE, Effect.HEARD),
        ),
        (State.ANSWERING, Event.ANSWERED): (State.IDLE, ()),
        (State.ANSWERING, Event.LOST): (State.FAULT, (Effect.DROP, Effect.TELL_LOST)),
        (State.ANSWERING, Event.NOT_UNDERSTOOD): (State.FAULT, (Effect.TELL_NOT_UNDERSTOOD,)),
        (State.ANSWERING, Event.NOT_FOUND): (State.FAULT, (Effect.TELL_NOT_FOUND,)),
        (State.ANSWERING, Event.OFFERED): (State.OFFERING, (Effect.OFFER,)),
        (State.ANSWERING, Event.REFUSED): (State.FAULT, (Effect.TELL_FAULT,)),
        (State.ANSWERING, Event.CANCEL): (State.IDLE, (Effect.DROP,)),
        # Nothing happened, and somebody has to say so.
        (State.ANSWERING, Event.DEADLINE): (State.FAULT, (Effect.DROP, Effect.TELL_FAULT)),
        (State.OFFERING, Event.TOLD): (State.OPENING, (Effect.OPEN,)),
        (State.OFFERING, Event.LOST): (State.FAULT, (Effect.TELL_LOST,)),
        (State.OFFERING, Event.ANSWERED): (State.IDLE, ()),
        (State.OFFERING, Event.UNHEARD): (State.IDLE, ()),
        (State.OFFERING, Event.CANCEL): (State.IDLE, ()),
        (State.OFFERING, Event.DEADLINE): (State.IDLE, ()),
        (State.FAULT, Event.CANCEL): (State.IDLE, ()),
        (State.FAULT, Event.TOLD): (State.IDLE, ()),
        (State.FAULT, Event.DEADLINE): (State.IDLE, ()),
        (State.MUTED, Event.UNMUTE): (State.IDLE, ()),
    }  # fmt: skip
    for state in (State.WAITING, State.ASKED):
        ways[state, Event.TOLD] = (state, ())  # the child's time begins when the machine is silent
        ways[state, Event.BEGAN] = (State.SPEAKING, (Effect.SEND,))
        ways[state, Event.BROKEN] = (State.FAULT, (*closed, Effect.TELL_FAULT))
    ways[State.SPEAKING, Event.BROKEN] = (State.FAULT, (*closed, Effect.TELL_FAULT))
    for state in _OPEN_STATES:
        ways[state, Event.CANCEL] = (State.IDLE, (*closed, Effect.HEARD))
        ways[state, Event.LOST] = (State.FAULT, (*closed, Effect.TELL_LOST))
    for state in State:
        if state is not State.MUTED:
            ways[state, Event.MUTE] = (State.MUTED, closed)
    return ways


TABLE: Mapping[tuple[State, Event], Way] = _table()
"""The way from a state at an event; what is not in it changes nothing."""


def step(state: State, event: Event) -> Way:
    """Return the next state and what is to be done; an event that means nothing here changes nothing.

    A fault of the microphone while it opens is one of these: it is opened again until the deadline.
    """
    return TABLE.get((state, event), (state, ()))


class Course:
    """A state and since when, on a clock of monotonic seconds; titles are offered once until it rests."""

    def __init__(self, now: float, *, muted: bool = False) -> None:
        """Begin at rest."""
        self.state = State.MUTED if muted else State.IDLE
        self._since = now
        self._offered = False

    @property
    def resting(self) -> bool:
        """Whether the state may last."""
        return self.state in REST

    def due(self) -> float | None:
        """Return when the state's deadline is, None at rest."""
        return None if self.resting else self._since + SECONDS[self.state]

    def take(self, event: Event, now: float) -> tuple[Effect, ...]:
        """Follow the table; return what is to be done."""
        if event is Event.OFFERED and self._offered:
            event = Event.NOT_FOUND
        state, effects = step(self.state, event)
        if (self.state, event) in TABLE:
            self.state, self._since = state, now
            self._offered = not self.resting and (self._offered or state is State.OFFERING)
        return effects

    def catch_up(self, now: float) -> tuple[Effect, ...]:
        """Take the deadline if it has passed."""
        due = self.due()
        return self.take(Event.DEADLINE, now) if due is not None and now >= due else ()
