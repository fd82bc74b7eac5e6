"""Lists of the simulated web: the product reads of each what it names, and a queue that is another one is seen."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from resources.online.cache import Record
from resources.online.kept_lists import dump_entries, key_of_list
from resources.online.policy import parse_target
from resources.online.spans import Spans
from resources.playing.queue import Queue, Track
from tools.sim.web_keep import KEYS
from tools.sim.web_lists import LISTS, ListWatch, entries_of, fits, page_of, url_of_list
from tools.sim.web_server import STORIES, body_of, url_of
from wire.entries import Entry
from wire.playlist import find_kind, parse_list

REFUSED = "play: the address is not allowed or does not answer"


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("edition", [1, 2, 7])
def test_the_product_reads_what_a_list_names_in_its_order(name: str, edition: int) -> None:
    page = page_of(name, edition)
    assert page is not None
    kind = find_kind(page.body[:512], page.kind)
    assert kind is not None
    found = parse_list(kind, page.body, url_of_list(name)).entries
    names = [entry.url.rpartition("/")[2].removesuffix(".mp3") for entry in found]
    assert names == entries_of(name, edition)
    assert [entry.title for entry in found if entry.title in STORIES] == [
        each for each in names if each in STORIES
    ]


def test_what_is_no_list_has_no_page() -> None:
    assert page_of("web-0", 1) is None


def test_a_list_that_is_named_stands_for_its_titles_or_for_itself() -> None:
    inner, *others = LISTS["list-3.m3u"]
    for titles in (LISTS[inner], LISTS[inner][::-1], [inner]):
        assert fits([*titles, *others], "list-3.m3u", 0)
    assert not fits([*LISTS[inner][:1], *others], "list-3.m3u", 0)
    assert not fits([inner, *others, "web-0"], "list-3.m3u", 0)
    assert not fits([inner, *others[::-1]], "list-3.m3u", 0)


@dataclass
class Card:
    full: bool = False
    read_only: bool = False


@dataclass
class Box:
    """A machine whose card has a list and a story of it."""

    state: Path
    life: object = "runs"
    in_memory: bool = False
    damaged: set[str] = field(default_factory=set)
    mount: Card = field(default_factory=Card)


@dataclass
class Server:
    edition: int = 0
    may_end_early: bool = False


NAME = "list-1.m3u"
FIRST, SECOND = entries_of(NAME, 0)


@pytest.fixture
def box(tmp_path: Path) -> Any:
    folder = tmp_path / "stories"
    folder.mkdir()
    listed = dump_entries([Entry(each, url_of(each)) for each in (FIRST, SECOND)])
    story = next(key for key, each in KEYS.items() if each == SECOND)
    kept = {key_of_list(parse_target(url_of_list(NAME))): listed, story: body_of(SECOND, 1)}
    for key, data in kept.items():
        whole = Record(len(data), "", "mark-1", 1, Spans([(0, len(data))]))
        (folder / f"{key}.json").write_bytes(whole.to_bytes())
        (folder / f"{key}.story").write_bytes(data)
    return Box(tmp_path)


def watch() -> Any:
    server: Any = Server()
    counts: Counter[str] = Counter()
    return ListWatch(server, lambda name: counts.update([name]))


def queue(*names: str, notes: tuple[str, ...] = (), title: str = "") -> Queue:
    return Queue(tuple(Track(title or each, url_of(each), each) for each in names), notes=notes)


def opened(seen: Any, box: Any, found: Queue) -> list[str]:
    seen.opened(box, NAME, found, seen.before(box, NAME))
    return list(seen.broken)


def test_a_list_as_its_server_has_it_is_right(box: Any) -> None:
    assert opened(watch(), box, queue(FIRST, SECOND)) == []


@pytest.mark.parametrize("found", [(SECOND, FIRST), (FIRST,), (FIRST, SECOND, FIRST)])
def test_a_list_that_has_become_another_queue_is_named(box: Any, found: tuple[str, ...]) -> None:
    (told,) = opened(watch(), box, queue(*found))
    assert NAME in told


def test_half_a_list_is_right_where_nobody_can_know_its_end(box: Any) -> None:
    seen = watch()
    seen._stories.may_end_early = True
    assert opened(seen, box, queue(FIRST)) == []


def test_a_title_of_another_name_is_named(box: Any) -> None:
    assert opened(watch(), box, queue(FIRST, SECOND, title="another"))


@pytest.mark.parametrize(("found", "faults"), [((SECOND,), 0), ((FIRST, SECOND), 1), ((), 1)])
def test_without_its_server_a_list_has_what_is_kept(
    box: Any, found: tuple[str, ...], faults: int
) -> None:
    seen = watch()
    assert opened(seen, box, queue(FIRST, SECOND)) == []
    assert len(opened(seen, box, queue(*found, notes=("no answer: 1",)))) == faults


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        (REFUSED, True),
        ("play: the server answers 503", True),
        ("play: the server answers 404", False),
    ],
)
def test_a_list_of_which_something_is_kept_is_not_refused_for_the_networks_sake(
    box: Any, text: str, is_broken: bool  # noqa: FBT001
) -> None:  # fmt: skip
    seen = watch()
    seen.refused(box, NAME, text, seen.before(box, NAME))
    assert bool(seen.broken) is is_broken


@pytest.mark.parametrize("why", ["damaged", "full", "gone"])
def test_a_card_that_is_not_sound_excuses_a_list(box: Any, why: str) -> None:
    seen = watch()
    match why:
        case "damaged":
            box.damaged.add("/stories/x.json")
        case "full":
            box.mount.full = True
        case _:
            for path in (box.state / "stories").glob("*.json"):
                if "spans" in json.loads(path.read_bytes()):
                    path.unlink()
    seen.refused(box, NAME, REFUSED, seen.before(box, NAME))
    assert seen.broken == []
