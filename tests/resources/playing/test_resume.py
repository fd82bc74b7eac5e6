"""Whether a story goes on where it was left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import resources.playing.resume
from resources.playing.queue import Queue, Track
from resources.playing.resume import Choice, Heard, Policy, go_on_in, policy_of, start_at

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACK_SECONDS = 4.0
STORY_SECONDS = 600.0

STORY, SONG = Policy.STORY, Policy.SONG


@pytest.mark.parametrize(
    ("said", "choice", "length", "policy"),
    [
        (None, Choice.AUTO, STORY_SECONDS, STORY), (None, Choice.AUTO, STORY_SECONDS - 1, SONG), (None, Choice.AUTO, None, SONG),
        (None, Choice.STORY, 60.0, STORY), (None, Choice.SONG, 3600.0, SONG),
        (STORY, Choice.SONG, 60.0, STORY), (SONG, Choice.STORY, 3600.0, SONG),
    ],
)  # fmt: skip
def test_whose_word_counts(
    said: Policy | None, choice: Choice, length: float | None, policy: Policy
) -> None:
    assert policy_of(said, choice, Heard(1.0, length)) is policy
    assert policy_of(said, choice, None) is (policy if said or choice is not Choice.AUTO else SONG)


@pytest.mark.parametrize(
    ("policy", "heard", "start"),
    [
        (STORY, Heard(100.0, 900.0), 100.0 - BACK_SECONDS), (STORY, Heard(100.0), 100.0 - BACK_SECONDS),
        (STORY, Heard(3.0, 900.0), 0.0), (STORY, Heard(0.0, 900.0, finished=True), 0.0), (STORY, None, 0.0),
        (SONG, Heard(100.0, 900.0), 0.0),
        # Beyond the end: the file was replaced by a shorter one, or the length was an estimate.
        (STORY, Heard(2000.0, 900.0), 900.0 - BACK_SECONDS),
    ],
)  # fmt: skip
def test_where_a_title_begins(policy: Policy, heard: Heard | None, start: float) -> None:
    assert start_at(policy, heard) == start


@given(st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
def test_a_story_never_falls_back_further_than_it_says(at: float, length: float | None) -> None:
    start = start_at(STORY, Heard(at, length))
    heard = at if length is None else min(at, length)
    assert max(0.0, heard - BACK_SECONDS) <= start <= heard


QUEUE = Queue([Track(title, f"/{title}", title) for title in "abc"], whole=True)


def all_stories(_track: Track, _heard: Heard) -> Policy:
    return STORY


@pytest.mark.parametrize(
    ("latest", "index"),
    [
        ([], 0), ([("x", Heard(5.0))], 0),
        ([("b", Heard(5.0))], 1), ([("b", Heard(finished=True))], 2), ([("c", Heard(finished=True))], 0),
        ([("x", Heard(5.0)), ("c", Heard(5.0)), ("b", Heard(5.0))], 2),
    ],
)  # fmt: skip
def test_a_folder_goes_on_at_the_title_that_was_heard_last(
    latest: list[tuple[str, Heard]], index: int
) -> None:
    assert go_on_in(QUEUE, latest, all_stories).index == index


def test_songs_begin_with_the_first_one() -> None:
    assert go_on_in(QUEUE, [("b", Heard(5.0))], lambda _track, _heard: SONG).index == 0


def test_one_title_that_was_asked_for_is_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    latest = [("b", Heard(5.0))]
    assert go_on_in(Queue(QUEUE.tracks, 2), latest, all_stories).index == 2
    monkeypatch.setattr(resources.playing.resume, "LOOKED_THROUGH", 2)
    assert go_on_in(QUEUE, latest, all_stories).index == 0
