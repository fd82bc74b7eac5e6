"""The table of listening: no stuck state, no open microphone at rest, and the drawing in the docs."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from agent.voice.states import REST, SECONDS, TABLE, Course, Effect, Event, State, step

DOCUMENT = Path(__file__).parents[3] / "docs" / "listening.md"
LISTENING = {State.OPENING, State.WAITING, State.ASKED, State.SPEAKING}
# Seconds: the longest way to rest once nothing happens any more (SPEAKING, ANSWERING, FAULT).
LONGEST = SECONDS[State.SPEAKING] + SECONDS[State.ANSWERING] + SECONDS[State.FAULT]


class World:
    """What the effects did: the microphone, the utterance, the story."""

    def __init__(self) -> None:
        self.open = False
        self.sending = False
        self.told: list[Effect] = []

    def do(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Effect.OPEN:
                    assert not self.open
                    self.open = True
                case Effect.CLOSE:
                    self.open = False
                case Effect.SEND:
                    assert self.open
                    self.sending = True
                case Effect.DROP | Effect.FINISH:
                    self.sending = False
                case Effect.CUE:
                    assert self.open
                case _:
                    self.told.append(effect)


@pytest.mark.parametrize(
    ("events", "states"),
    [
        ("listen opened began ended answered", "opening waiting speaking answering idle"),
        (
            "listen opened deadline began ended deadline",
            "opening waiting asked speaking answering fault",
        ),
        ("listen opened deadline deadline", "opening waiting asked idle"),
        ("listen broken broken opened", "opening opening opening waiting"),
        ("listen deadline deadline", "opening fault idle"),
        ("listen opened began broken deadline", "opening waiting speaking fault idle"),
        ("listen opened began lost deadline", "opening waiting speaking fault idle"),
        ("listen opened began ended lost", "opening waiting speaking answering fault"),
        ("listen opened began ended not_understood told", "opening waiting speaking answering fault idle"),
        ("listen opened began ended not_found told", "opening waiting speaking answering fault idle"),
        ("listen opened began ended refused deadline", "opening waiting speaking answering fault idle"),
        ("listen opened began ended offered told opened", "opening waiting speaking answering offering opening waiting"),
        ("listen opened began ended offered unheard", "opening waiting speaking answering offering idle"),
        ("listen opened began ended offered answered", "opening waiting speaking answering offering idle"),
        ("listen opened began ended offered lost", "opening waiting speaking answering offering fault"),
        ("listen opened began offered not_found refused", "opening waiting speaking speaking speaking speaking"),
        ("offered not_found refused unheard", "idle idle idle idle"),
        ("listen mute listen unmute listen", "opening muted muted idle opening"),
        ("lost listen cancel", "fault fault idle"),
        ("listen listen opened listen", "opening opening waiting waiting"),
    ],
)  # fmt: skip
def test_ways_through_the_table(events: str, states: str) -> None:
    course = Course(0.0)
    seen = []
    for event in events.split():
        course.take(Event(event), 0.0)
        seen.append(str(course.state))
    assert seen == states.split()


@pytest.mark.parametrize("state", list(State))
def test_every_state_that_may_not_last_has_a_deadline_and_a_way_out(state: State) -> None:
    assert (state in SECONDS) is (state not in REST)
    if state not in REST:
        assert 0 < SECONDS[state] <= 20
        assert step(state, Event.DEADLINE)[0] is not state


@pytest.mark.parametrize("state", list(State))
def test_cancel_and_mute_end_everything(state: State) -> None:
    assert step(state, Event.CANCEL)[0] in REST
    assert step(state, Event.MUTE)[0] is State.MUTED
    if state in LISTENING:
        for event in (Event.CANCEL, Event.MUTE):
            assert set(step(state, event)[1]) >= {Effect.CLOSE, Effect.DROP}


def test_the_microphone_is_open_in_the_states_of_listening_and_no_other() -> None:
    for (state, _event), (following, effects) in TABLE.items():
        is_open = (state in LISTENING or Effect.OPEN in effects) and Effect.CLOSE not in effects
        assert is_open is (following in LISTENING), (state, _event)


def test_the_cue_sounds_when_the_microphone_is_really_open() -> None:
    cues = {key for key, (_, effects) in TABLE.items() if Effect.CUE in effects}
    assert cues == {(State.OPENING, Event.OPENED)}


@pytest.mark.parametrize("hundred", range(20))
def test_no_sequence_of_events_is_stuck(hundred: int) -> None:
    """Random events at random times on a virtual clock, and then nothing: it comes to rest in time."""
    for seed in range(hundred * 100, hundred * 100 + 100):
        follow(random.Random(seed))


def follow(rng: random.Random) -> None:
    now = 0.0
    course, world = Course(now), World()
    asked = offered = 0
    for _ in range(rng.randrange(1, 60)):
        now += rng.choice((0.0, 0.02, 0.5, 3.0, 8.0, 20.0))
        world.do(course.catch_up(now))
        event = rng.choice([e for e in Event if e is not Event.DEADLINE])
        effects = course.take(event, now)
        world.do(effects)
        asked = 0 if Effect.OPEN in effects else asked + effects.count(Effect.ASK)
        offered = 0 if course.resting else offered + effects.count(Effect.OFFER)
        assert asked <= 1
        assert offered <= 1
        assert world.open is (course.state in LISTENING)
        assert world.sending is (course.state is State.SPEAKING)
        due = course.due()
        assert (due is None) is course.resting
        assert due is None or now < due <= now + max(SECONDS.values())
    quiet_since = now
    while not course.resting:
        due = course.due()
        assert due is not None
        now = due
        world.do(course.catch_up(now))
    assert now - quiet_since <= LONGEST
    assert not world.open
    assert not world.sending


def test_a_deadline_comes_when_it_is_due_and_not_before() -> None:
    course = Course(100.0)
    assert course.catch_up(10**9) == ()
    course.take(Event.LISTEN, 100.0)
    assert course.catch_up(106.4) == ()
    assert course.catch_up(106.5) == (Effect.DROP, Effect.CLOSE, Effect.TELL_FAULT)
    assert course.due() == pytest.approx(106.5 + 2.5)
    course.take(Event.LISTEN, 108.0)  # means nothing here, and does not prolong it
    assert course.due() == pytest.approx(106.5 + 2.5)


def test_titles_are_offered_once_until_it_rests() -> None:
    course = Course(0.0)
    twice = ["listen", *(["opened", "began", "ended", "offered", "told"] * 2)]
    for _ in range(2):
        effects = [effect for event in twice for effect in course.take(Event(event), 0.0)]
        told = [effect for effect in effects if effect in {Effect.OFFER, Effect.TELL_NOT_FOUND}]
        assert told == [Effect.OFFER, Effect.TELL_NOT_FOUND]
        assert course.state is State.IDLE


def test_what_began_muted_stays_so() -> None:
    course = Course(0.0, muted=True)
    assert course.take(Event.LISTEN, 0.0) == ()
    assert (course.state, course.due()) == (State.MUTED, None)


def test_the_document_draws_this_table() -> None:
    text = DOCUMENT.read_text("utf-8")
    drawn = set(re.findall(r"^  (\w+) --> (\w+): (\w+)$", text, re.MULTILINE))
    muting = {(s, t, e) for s, t, e in drawn if e == "mute"}
    assert drawn - muting == {
        (str(state), str(following), str(event))
        for (state, event), (following, _) in TABLE.items()
        if event is not Event.MUTE
    }
    assert muting == {("any", "muted", "mute")}
    for state, seconds in SECONDS.items():
        assert f"| {state} | {seconds:g} s |" in text, state
