"""What plays, as text: whole where it fits, and always within the bytes of a value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.playing.events import Snapshot, State
from resources.playing.told import describe, render, shorten, source_of
from wire.text import is_printable

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STRING_LIMIT = 1_024


def test_seconds_and_numbers_are_those_that_people_use() -> None:
    shot = Snapshot(
        State.PLAYING, "b", "/m/x/b.mp3", "x/b.mp3", 12.345, 60.0, 1, 3, [(0, "a"), (1, "b")]
    )
    assert describe(shot) == {
        "state": "playing", "title": "b", "position": 12.3, "length": 60.0, "index": 2, "count": 3,
        "source": "x/b.mp3", "queue": [[1, "a"], [2, "b"]],
    }  # fmt: skip
    assert json.loads(render(shot)) == describe(shot)


def test_nothing_is_told_as_nothing() -> None:
    assert json.loads(render(Snapshot())) == {
        "state": "idle", "title": "", "position": None, "length": None, "index": 0, "count": 0,
        "source": "", "queue": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://user:secret@h:8443/a.mp3?token=abc#t", "https://h:8443/a.mp3"),
        ("http://h/feed", "http://h/feed"),
        ("http://[::1", ""),
        ("http://h:99999/", ""),
    ],
)
def test_an_address_is_told_without_its_secrets(source: str, shown: str) -> None:
    assert source_of(Snapshot(source=source, key="k")) == shown


def test_a_name_that_is_no_utf_8_can_be_told() -> None:
    shown = source_of(Snapshot(source="/m/x", key=b"\xff/a\n.mp3".decode(errors="surrogateescape")))
    assert is_printable(shown)


_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=400)


@given(
    _TEXT,
    st.integers(0, 6),
    st.lists(_TEXT, min_size=7, max_size=7),
    st.sampled_from(['"\\' * 2000, "", "字" * 4096, "\U0001f467" * 500]),
)
def test_any_titles_fit_and_the_current_one_stays(
    title: str, place: int, around: list[str], long: str
) -> None:
    titles = list(enumerate(around, 5000))
    shot = Snapshot(
        State.PLAYING, title + long, f"/m/{long}", long, 1e6, 1e6, 5000 + place, 10_000, titles
    )
    text = render(shot)
    assert len(text.encode()) <= STRING_LIMIT
    numbers = [number for number, _ in json.loads(text)["queue"]]
    assert 5001 + place in numbers
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_what_is_shortened_says_so() -> None:
    assert shorten("abc", 5) == "abc"
    assert shorten("abcdefgh", 8) == "abc…"
    assert shorten('""""', 8) == '"…'
