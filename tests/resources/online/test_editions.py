"""Another edition of a pinned story: the whole one stays until all of the next one is there; `resources.online.cache`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from base.files import write_atomically
from resources.online import cache as caching
from resources.online.cache import PINS, Cache, Kept, key_of
from resources.online.policy import parse_target
from tests.resources.online.test_cache import BODY, keep, names, open_cache

URL = "http://h/a.mp3"
KEY = key_of(parse_target(URL))
OTHER = BODY[::-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "stories"


def pinned_whole(folder: Path, limit: int = 1_000_000) -> Cache:
    """Return a cache with all of the first edition of a pinned story."""
    cache = open_cache(folder, limit)
    cache.pin(URL, pinned=True)
    keep(cache, KEY)
    return cache


def begin_other(cache: Cache, mark: str = '"2"', size: int = len(OTHER)) -> Kept:
    kept = cache.begin(KEY, size, "audio/mpeg", mark)
    assert kept is not None
    return kept


def whole(cache: Cache) -> bytes:
    """Return the bytes of the story that plays without its server."""
    kept = cache.find(KEY)
    assert kept is not None
    assert kept.record.whole
    body = kept.read(0, len(BODY) * 2)
    kept.close()
    return body


def stories(folder: Path) -> list[str]:
    return [name.removeprefix(KEY) for name in names(folder) if name != PINS]


def test_the_whole_edition_of_a_pinned_story_stays_until_the_next_one_is_whole(
    folder: Path,
) -> None:
    cache = pinned_whole(folder)
    kept = begin_other(cache)
    kept.write(0, OTHER[:5000])
    kept.sync()
    assert (whole(cache), cache.has_whole(KEY)) == (BODY, True)
    assert cache.pinned() == [(URL, False)]  # there is something to fetch
    assert cache.total() == len(BODY) + 5000
    kept.close()
    cache = open_cache(folder)  # after a power cut
    assert whole(cache) == BODY
    assert stories(folder) == ["-next.json", ".json", ".story", "b.part"]
    kept = begin_other(cache)
    assert kept.run(0) == 5000
    kept.write(5000, OTHER[5000:])
    assert whole(cache) == OTHER
    assert cache.pinned() == [(URL, True)]
    assert stories(folder) == [".json", "b.story"]
    kept.close()
    cache = open_cache(folder)
    assert whole(cache) == OTHER
    third = begin_other(cache, '"3"')
    third.write(0, BODY)
    third.close()
    assert whole(open_cache(folder)) == BODY
    assert stories(folder) == [".json", ".story"]


def test_an_edition_after_the_next_one_takes_the_next_ones_place(folder: Path) -> None:
    cache = pinned_whole(folder)
    kept = begin_other(cache)
    kept.write(0, OTHER[:5000])
    assert cache.begin(KEY, len(BODY), "", '"3"') is None  # it is being fetched
    kept.close()
    kept = begin_other(cache, '"3"', 300)
    assert kept.run(0) == 0
    kept.close()
    assert whole(cache) == BODY


@pytest.mark.parametrize("end", ["settle", "unpin", "the first one comes again"])
def test_a_next_edition_that_is_none_any_more_leaves_its_room(folder: Path, end: str) -> None:
    cache = pinned_whole(folder)
    kept = begin_other(cache)
    kept.write(0, OTHER[:5000])
    kept.close()
    found = cache.find(KEY)
    assert found is not None
    assert found.is_outdated
    found.close()
    match end:
        case "settle":
            cache.settle(KEY)
        case "unpin":
            cache.pin(URL, pinned=False)
        case _:
            begin_other(cache, '"1"', len(BODY)).close()
    assert stories(folder) == [".json", ".story"]
    assert whole(cache) == BODY


def test_where_both_editions_find_no_room_the_next_one_takes_the_place(folder: Path) -> None:
    cache = pinned_whole(folder, len(BODY) * 2 - 1)
    keep(cache, "heard", BODY[:5000])
    kept = begin_other(cache)
    kept.write(0, OTHER)
    kept.close()
    assert whole(cache) == OTHER
    assert cache.has_whole("heard")  # nothing was left out in vain
    assert cache.begin(KEY, len(BODY) * 2, "", '"3"') is None
    assert whole(cache) == OTHER  # a longer one than there is room for costs nothing


def test_what_was_heard_makes_room_for_both_editions(folder: Path) -> None:
    cache = pinned_whole(folder, len(BODY) * 2 + 1)
    keep(cache, "heard", BODY[:5000])
    kept = begin_other(cache)
    assert not cache.has_whole("heard")
    assert whole(cache) == BODY
    assert (
        cache.begin("c", 5000, "", "") is None
    )  # what is pinned is never left out, nor its next edition
    kept.close()
    assert cache.begin("c", len(BODY) + 2, "", "") is None


class Cut(BaseException):
    """The power goes."""


@pytest.mark.parametrize("place", range(9))
def test_a_power_cut_while_an_edition_takes_the_place_leaves_one_of_the_two(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    kept = begin_other(pinned_whole(folder))
    kept.write(0, OTHER[:-1])
    left = [place]

    def cut(work: Callable[..., Any]) -> Callable[..., Any]:
        def done(*words: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return work(*words, **named)

        return done

    with monkeypatch.context() as patch:
        patch.setattr(caching, "write_atomically", cut(write_atomically))
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, cut(getattr(Path, name)))
        with contextlib.suppress(Cut):
            kept.write(len(OTHER) - 1, OTHER[-1:])
    cache = open_cache(folder)
    assert whole(cache) in {BODY, OTHER}
    assert whole(cache) == OTHER or left == [0]  # without a cut it is the next one
    assert whole(cache) == BODY or cache.pinned() == [(URL, True)]  # and nothing more is to come
    assert cache.total() <= 2 * len(BODY)
    kept = begin_other(cache)
    kept.write(0, OTHER)
    kept.close()
    assert whole(open_cache(folder)) == OTHER
    assert stories(folder) in ([".json", "b.story"], [".json", ".story"])


def test_a_next_edition_whose_whole_one_is_damaged_is_gone_on_with(folder: Path) -> None:
    kept = begin_other(pinned_whole(folder))
    kept.write(0, OTHER[:5000])
    kept.close()
    (folder / f"{KEY}.story").unlink()
    cache = open_cache(folder)
    assert not cache.has_whole(KEY)
    assert stories(folder) == [".json", "b.part"]
    kept = begin_other(cache)
    assert kept.run(0) == 5000
    kept.write(5000, OTHER[5000:])
    kept.close()
    assert whole(open_cache(folder)) == OTHER
