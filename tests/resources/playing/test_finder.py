"""What names stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

import resources.playing.finder
from machine.errors import RefusedError, UnavailableError
from resources.playing.events import AwayError, Kind, RefusedOrderError
from resources.playing.finder import Finder, find_in
from resources.playing.queue import Queue, Track
from resources.titles.library import Library
from tests.resources.parts import PlainWeb, make_sounds


@pytest.fixture
def finder(tmp_path: Path) -> Finder:
    make_sounds(tmp_path / "media" / "x", "a.mp3", "b.mp3", "c.mp3")
    make_sounds(tmp_path / "media" / "y", "d.mp3")
    return Finder([PlainWeb(), Library(tmp_path / "media")])


def titles(queue: Queue) -> list[str]:
    return [track.title for track in queue.tracks]


async def test_one_name_is_its_folder_and_several_are_what_they_name(finder: Finder) -> None:
    one, _ = await finder.find("b")
    assert (titles(one), one.index, one.whole) == (["a", "b", "c"], 1, False)
    several, left_out = await finder.find(("b", "y", "http://h/z.mp3", "a"))
    assert titles(several) == ["b", "d", "http://h/z.mp3", "a"]
    assert several.whole
    assert left_out == []


async def test_a_name_that_is_nothing_is_left_out_of_a_list_and_told(finder: Finder) -> None:
    found, left_out = await finder.find(("狮子王", "a"))
    assert titles(found) == ["a"]
    assert len(left_out) == 1
    assert "狮子王" in left_out[0]
    with pytest.raises(RefusedOrderError, match="狮子王") as caught:
        await finder.find(("狮子王", "大象"))
    assert caught.value.kind is Kind.NOT_FOUND


async def test_a_list_that_is_too_long_is_refused(
    finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.playing.finder, "QUEUE_LIMIT", 4)
    with pytest.raises(RefusedError, match="got 6 titles, expected at most 4"):
        await finder.find(("x", "x"))


class Away:
    """A network that does not answer."""

    async def open(self, _text: str) -> Queue | None:
        raise UnavailableError("play: it does not answer")

    async def run(self) -> None:
        return

    async def close(self) -> None:
        return


async def test_a_network_that_is_away_is_told_from_a_card_that_cannot_be_read() -> None:
    with pytest.raises(AwayError):
        await Finder([Away()]).find("http://h/a.mp3")
    with pytest.raises(UnavailableError) as caught:
        await Finder([Away()]).find("a")
    assert not isinstance(caught.value, AwayError)


QUEUE = Queue([Track(title, f"/{title}", title) for title in ("The fox", "Fox", "Goose")])


@pytest.mark.parametrize(
    ("to", "index"), [(1, 0), (3, 2), ("GOOSE", 2), ("fox", 1), ("the", 0), ("oo", 2)]
)
def test_a_title_in_the_queue_is_found_by_number_name_or_a_part(to: int | str, index: int) -> None:
    assert find_in(QUEUE, to).index == index


@pytest.mark.parametrize(
    ("to", "message"),
    [(4, "got 4, expected a number from 1 to 3"), ("wolf", 'got "wolf", expected one of 3 titles')],
)
def test_what_is_not_in_the_queue_is_refused(to: int | str, message: str) -> None:
    with pytest.raises(RefusedOrderError, match=message):
        find_in(QUEUE, to)
