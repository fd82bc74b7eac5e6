"""Which URLs are the same story."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.playing.keys import url_key


@pytest.mark.parametrize(
    "url",
    [
        "http://Shop.example/a.mp3?id=7",
        "https://shop.example/a.mp3?id=7#t=10",
        "https://user:secret@shop.example:443/a.mp3?id=7",
        "https://shop.example/a.mp3?id=7&Expires=1700000000&Signature=abc&OSSAccessKeyId=k",
        "https://shop.example/a.mp3?X-Amz-Date=20261126&id=7&X-Amz-Signature=ff",
        "https://shop.example/a.mp3?e=1700000000&token=abc&id=7",
        "https://shop.example/a.mp3?id=7&utm_source=podcast",
    ],
)
def test_what_changes_each_time_does_not_count(url: str) -> None:
    assert url_key(url) == "//shop.example/a.mp3?id=7"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://h/a.mp3", "http://h/b.mp3"),
        ("http://h/a.mp3", "http://h:8080/a.mp3"),
        ("http://h/play?id=1", "http://h/play?id=2"),
        # Without a signature these may be an episode or a title.
        ("http://h/play?e=1", "http://h/play?e=2"),
        ("http://h/play?t=1", "http://h/play?t=2"),
    ],
)
def test_other_stories_have_other_keys(one: str, other: str) -> None:
    assert url_key(one) != url_key(other)


@pytest.mark.parametrize("url", ["http://[::1/a", "http://h:port/a", "http://h:99999/a"])
def test_what_cannot_be_taken_apart_is_not_remembered(url: str) -> None:
    assert not url_key(url)


@given(st.text(max_size=60))
def test_any_text_has_a_key(text: str) -> None:
    assert isinstance(url_key(f"http://{text}"), str)
