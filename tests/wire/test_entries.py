"""What an entry of a list is called, and which addresses it may have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.entries import Entry, make_entry, name_of

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TITLE_CHARACTERS = 200


BASE = "https://h/lists/a.m3u"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a/b.mp3?x=1", "b"),
        ("http://h/%E5%B0%8F%E5%85%94.mp3", "小兔"),
        ("http://h/Vol. 2 the end", "Vol. 2 the end"),
        ("http://h/.mp3", ".mp3"),
        ("http://Radio.example/", "radio.example"),
        ("http://user:secret@h:81?token=2", "h"),
    ],
)
def test_an_entry_without_a_title_has_its_files_name(url: str, name: str) -> None:
    assert name_of(url) == name


def test_an_entry_without_a_length_has_none() -> None:
    assert make_entry("a.mp3", BASE, " ", 0.0) == Entry("a", "https://h/lists/a.mp3")


def test_a_title_has_two_hundred_characters_at_most() -> None:
    for title, url in (("兔" * 201, "a.mp3"), ("", f"{'b' * 201}.mp3")):
        entry = make_entry(url, BASE, title, None)
        assert entry is not None
        assert entry.title == (title or "b" * 201)[:200]


@given(st.text(max_size=300), st.text(max_size=300))
def test_an_entry_is_a_web_address_with_a_title_or_none(address: str, title: str) -> None:
    for text in (address, f"http://{address}"):
        entry = make_entry(text, BASE, title, None)
        if entry is not None:
            assert entry.url[:8].lower().startswith(("http://", "https://"))
            assert 0 < len(entry.title) <= TITLE_CHARACTERS
