"""The queue: what follows what, with any orders in any sequence."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import resources.playing.queue
from machine.errors import RefusedError
from resources.playing.queue import Joined, PlayMode, Queue, Track


def tracks(*titles: str) -> list[Track]:
    return [Track(title, f"/{title}", title) for title in titles]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("小兔子: ?a@b", "小兔子: ?a@b"),
        ("https://u:s3cret@h:8/a.mp3?token=s3cret#x", "https://h:8/a.mp3"),
        ("http://h?token=s3cret", "http://h"),
        ("http://h/a@b", "http://h/a@b"),
    ],
)
def test_a_log_shows_no_secret_of_a_url(title: str, shown: str) -> None:
    track = Track(title, "http://h/?token=s3cret", "key")
    assert track.shown == shown
    assert "s3cret" not in f"{track} {track!r}"


def titles(queue: Queue) -> list[str]:
    """Return the titles in the order of playing."""
    order = queue.order if queue.order is not None else range(len(queue))
    return [queue.tracks[number].title for number in order]


def current(queue: Queue | None) -> str | None:
    return queue.current.title if queue is not None and queue.current else None


ABC = Queue(tracks("a", "b", "c"), whole=True)


@pytest.mark.parametrize(
    ("mode", "index", "follows"),
    [
        (PlayMode.ORDER, 0, "b"), (PlayMode.ORDER, 2, None),
        (PlayMode.SHUFFLE, 0, "b"), (PlayMode.SHUFFLE, 2, None),
        (PlayMode.REPEAT_ONE, 1, "b"), (PlayMode.REPEAT_ONE, 2, "c"),
        (PlayMode.REPEAT_ALL, 1, "c"), (PlayMode.REPEAT_ALL, 2, "a"),
    ],
)  # fmt: skip
def test_what_follows_an_end(mode: PlayMode, index: int, follows: str | None) -> None:
    queue = ABC.jump(index)
    assert queue
    assert current(queue.after_end(mode)) == follows


@pytest.mark.parametrize("mode", PlayMode)
def test_nothing_follows_nothing(mode: PlayMode) -> None:
    empty = Queue()
    assert empty.after_end(mode) is None
    assert empty.move(1, wrap=True) is None
    assert empty.jump(0) is None
    assert empty.current is None
    assert empty.in_order() == empty
    assert titles(empty.shuffled(random.Random(1), stay=True)) == []


def test_play_next_and_add_put_titles_in_their_places() -> None:
    queue = ABC.play_next(tracks("x", "y")).add(tracks("z"))
    assert titles(queue) == ["a", "x", "y", "b", "c", "z"]
    assert current(queue) == "a"
    assert current(Queue().add(tracks("z"))) == "z"
    assert current(Queue().play_next(tracks("z"))) == "z"


def test_in_a_shuffled_queue_what_is_next_is_played_next() -> None:
    queue = ABC.shuffled(random.Random(3), stay=False).play_next(tracks("x")).add(tracks("z"))
    assert current(queue.move(1)) == "x"
    assert titles(queue)[-1] == "z"
    # Where the order by chance ends, both stand where they would without it.
    stands = titles(queue.in_order())
    assert stands[stands.index(current(queue) or "") + 1] == "x"
    assert stands[-1] == "z"


def test_a_jump_in_a_shuffled_queue_goes_back_to_where_it_left() -> None:
    queue = ABC.shuffled(random.Random(3), stay=False)
    left = current(queue)
    jumped = queue.jump(queue.order[2] if queue.order else 0)
    assert jumped
    assert current(jumped.move(-1)) == left


@pytest.mark.parametrize("number", [-1, 3, 10**9])
def test_a_jump_past_either_end_is_none(number: int) -> None:
    assert ABC.jump(number) is None
    assert ABC.shuffled(random.Random(1), stay=True).jump(number) is None


def test_a_queue_that_would_be_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.playing.queue, "QUEUE_LIMIT", 4)
    full = ABC.add(tracks("d"))
    for more in (full.add, full.play_next):
        with pytest.raises(RefusedError, match="got 1 titles more, expected a queue of at most 4"):
            more(tracks("e"))


def test_only_what_was_asked_for_is_wanted() -> None:
    assert [track.title for track in ABC.wanted] == ["a", "b", "c"]
    assert [track.title for track in Queue(ABC.tracks, 1).wanted] == ["b"]


def test_around_tells_numbers_and_titles_in_the_order_of_playing() -> None:
    assert Queue(ABC.tracks, 1).around(1, 1) == [(0, "a"), (1, "b"), (2, "c")]
    assert Queue(ABC.tracks, 2).around(1, 5) == [(1, "b"), (2, "c")]
    shuffled = Queue(ABC.tracks, 0, order=[2, 0, 1])
    assert shuffled.around(1, 1) == [(2, "c"), (0, "a")]


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=5), st.data())
def test_joined_tracks_are_those_of_a_list(parts: list[list[int]], data: st.DataObject) -> None:
    model = [number for part in parts for number in part]
    joined = Joined.of(*(tracks(*map(str, part)) for part in parts))
    for _ in range(3):
        number = data.draw(st.integers(0, len(model)))
        more = data.draw(st.lists(st.integers(10, 99), max_size=3))
        model[number:number] = more
        joined = joined.insert(number, tracks(*map(str, more)))
    assert [track.title for track in joined] == [str(number) for number in model]
    assert [track.title for track in joined[1:-1]] == [str(number) for number in model[1:-1]]
    with pytest.raises(IndexError):
        joined[len(model)]


class QueueMachine(RuleBasedStateMachine):
    """Any orders in any sequence lose no title, play none twice, and go back the way they came."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 4
        self.queue = Queue(tracks("0", "1", "2", "3"), whole=True)

    def more(self, count: int) -> list[Track]:
        new = tracks(*(str(self.made + number) for number in range(count)))
        self.made += count
        return new

    @rule(count=st.integers(0, 3))
    def play_next(self, count: int) -> None:
        before = current(self.queue)
        more = self.more(count)
        self.queue = self.queue.play_next(more)
        assert current(self.queue) == before
        place = self.queue.index + 1
        assert titles(self.queue)[place : place + count] == [track.title for track in more]

    @rule(count=st.integers(0, 3))
    def add(self, count: int) -> None:
        before, order = current(self.queue), titles(self.queue)
        more = self.more(count)
        self.queue = self.queue.add(more)
        assert current(self.queue) == before
        assert titles(self.queue) == [*order, *(track.title for track in more)]

    @rule(seed=st.integers(0, 99), stay=st.booleans())
    def shuffle(self, seed: int, *, stay: bool) -> None:
        before = current(self.queue)
        self.queue = self.queue.shuffled(random.Random(seed), stay=stay)
        assert self.queue.index == 0
        assert not stay or current(self.queue) == before

    @rule()
    def unshuffle(self) -> None:
        before = current(self.queue)
        self.queue = self.queue.in_order()
        assert current(self.queue) == before

    @rule(data=st.data())
    def jump(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.queue) - 1))
        left, shuffled = current(self.queue), self.queue.order is not None
        moves = number != self.queue.number
        jumped = self.queue.jump(number)
        assert jumped
        assert current(jumped) == self.queue.tracks[number].title
        if shuffled and moves:
            assert current(jumped.move(-1)) == left
        self.queue = jumped

    @rule(step=st.sampled_from([-1, 1]), wrap=st.booleans())
    def move(self, step: int, *, wrap: bool) -> None:
        left = current(self.queue)
        moved = self.queue.move(step, wrap=wrap)
        if moved is not None:
            assert current(moved.move(-step, wrap=wrap)) == left
            self.queue = moved

    @precondition(lambda self: self.queue.order is not None)
    @rule()
    def play_to_the_end(self) -> None:
        """From here to the end no title comes twice, and all that is ahead comes."""
        ahead, at = [], self.queue
        expected = set(titles(self.queue)[self.queue.index :])
        while (following := at.after_end(PlayMode.SHUFFLE)) is not None:
            ahead.append(current(at))
            at = following
        ahead.append(current(at))
        assert len(ahead) == len(set(ahead))
        assert set(ahead) == expected

    @invariant()
    def nothing_is_lost_or_twice(self) -> None:
        assert sorted(titles(self.queue), key=int) == [str(n) for n in range(self.made)]
        assert 0 <= self.queue.index < len(self.queue)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
