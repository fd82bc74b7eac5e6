"""The line of cues, on a virtual clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resources.announce.cues import MANNERS, Cue, Saying
from resources.announce.line import Line

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LATE_SECONDS = 6.0
REPEAT_SECONDS = 3.0
WAITING_LIMIT = 3


def said(cue: Cue) -> Saying:
    return Saying(cue, spoken=MANNERS[cue].spoken, gain=0.0)


class Told(list[bool]):
    """What was told about one cue."""

    def __call__(self, heard: bool) -> None:  # noqa: FBT001  # as the line calls it
        self.append(heard)


def test_cues_sound_in_their_order() -> None:
    line, told = Line(), Told()
    assert line.offer(said(Cue.NOT_FOUND), 0, told)
    assert line.offer(said(Cue.LOW_BATTERY), 0, told)
    assert line.take(0) == said(Cue.NOT_FOUND)
    assert line.take(1) == said(Cue.NOT_FOUND)  # it has not ended
    line.end(2, heard=True)
    assert line.take(2) == said(Cue.LOW_BATTERY)
    line.end(3, heard=False)
    assert line.take(3) is None
    assert told == [True, False]


def test_the_same_cue_is_not_said_twice_in_a_row() -> None:
    line, told = Line(), Told()
    assert line.offer(said(Cue.LOCKED), 0, told)
    assert not line.offer(said(Cue.LOCKED), 0, told)
    line.take(0)
    assert not line.offer(said(Cue.LOCKED), 1, told)
    line.end(2, heard=True)
    assert not line.offer(said(Cue.LOCKED), 2 + REPEAT_SECONDS - 0.1, told)
    assert line.offer(said(Cue.LOCKED), 2 + REPEAT_SECONDS, told)
    assert told == [True]


def test_a_tone_follows_each_turn_of_the_knob() -> None:
    line, told = Line(), Told()
    for now in range(3):
        assert line.offer(said(Cue.BLIP), now, told)
        assert line.take(now) == said(Cue.BLIP)
        line.end(now + 0.1, heard=True)


def test_nothing_is_said_late() -> None:
    line, told = Line(), Told()
    line.offer(said(Cue.NOT_FOUND), 0, told)
    line.offer(said(Cue.NO_NETWORK), 1, told)
    assert line.take(LATE_SECONDS + 0.5) == said(Cue.NO_NETWORK)
    assert told == [False]


def test_the_oldest_makes_room() -> None:
    line, told = Line(), Told()
    cues = [Cue.NOT_FOUND, Cue.NO_NETWORK, Cue.LOCKED, Cue.NOT_ALLOWED]
    for cue in cues:
        assert line.offer(said(cue), 0, told)
    assert len(line) == WAITING_LIMIT
    assert told == [False]
    assert line.take(0) == said(Cue.NO_NETWORK)


def test_an_open_microphone_hears_no_prompts() -> None:
    line, told = Line(), Told()
    line.offer(said(Cue.NOT_FOUND), 0, told)
    line.offer(said(Cue.LOCKED), 0, told)
    line.take(0)
    assert line.offer(said(Cue.LISTEN), 0, told)
    assert told == [False]  # what waited; the announcer ends what sounds
    line.end(0, heard=False)
    assert line.take(0) == said(Cue.LISTEN)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["offer", "take", "end", "clear"]), st.sampled_from([*Cue]), st.floats(0, 4)
        ),
        max_size=60,
    )
)  # fmt: skip
def test_whatever_comes_the_line_is_short_and_every_cue_is_told_once(
    steps: list[tuple[str, Cue, float]],
) -> None:
    line, now = Line(), 0.0
    taken: list[Told] = []
    for step, cue, seconds in steps:
        now += seconds
        told = Told()
        if step == "offer" and line.offer(said(cue), now, told):
            taken.append(told)
        elif step == "take":
            line.take(now)
        elif step == "end":
            line.end(now, heard=True)
        elif step == "clear":
            line.clear()
        assert len(line) <= WAITING_LIMIT
        waiting = len(line) + (line.sounding is not None)
        assert sum(not told for told in taken) == waiting
        assert all(len(told) <= 1 for told in taken)
    while line.take(now) is not None:
        line.end(now, heard=True)
    line.end(now, heard=True)
    assert all(len(told) == 1 for told in taken)
