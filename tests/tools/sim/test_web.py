"""Stories of the simulated web: each piece says what it is, and what is kept of one is looked at to the byte."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from resources.online.cache import Record
from resources.online.spans import Spans
from tools.sim.web_keep import KEYS, Keep, fault_of, read
from tools.sim.web_server import STORIES, WebServer, body_of, piece_at

NAME = STORIES[1]
KEY = next(key for key, name in KEYS.items() if name == NAME)
BODY = body_of(NAME, 2)


@pytest.mark.parametrize("at", [0, 1, 64, 1000, len(BODY) - 200])
def test_a_piece_is_known_wherever_it_begins(at: int) -> None:
    piece = piece_at(BODY[at : at + 200], at)
    assert piece is not None
    assert (piece.name, piece.edition, piece.is_whole) == (NAME, 2, True)


def test_a_piece_with_another_bit_or_from_another_place_is_not_whole() -> None:
    spoilt = bytearray(BODY[:300])
    spoilt[200] ^= 1
    moved = piece_at(BODY[64:300], 0)
    changed = piece_at(bytes(spoilt), 0)
    assert moved is not None
    assert changed is not None
    assert not moved.is_whole
    assert not changed.is_whole
    assert piece_at(bytes(300), 0) is None


def asked_for(*requests: tuple[float, int]) -> int:
    """Return how hurried the requests are for a story that breaks off after 400 bytes each time: of each when, and from which byte."""
    clock: Any = SimpleNamespace(time=lambda: 0.0)
    net: Any = SimpleNamespace(loop=clock, hosts={}, strangers=set(), listeners={})
    net.watch = lambda *_words: None
    server = WebServer(net, Random(1))  # a simulation
    for at, start in requests:
        clock.time = lambda at=at: at
        row = server._count_hurry(NAME, start)
        server._broken_off[NAME] = (start + 400, at, row)
    return server.hurried


def test_a_story_is_asked_for_in_a_hurry_where_it_broke_off_and_without_a_pause() -> None:
    assert asked_for((0.0, 0), (0.3, 400), (0.8, 800)) == 2
    assert asked_for((0.0, 0), (0.3, 400), (1.2, 800), (1.5, 1200)) == 1
    assert asked_for((0.0, 0), (0.3, 0), (0.6, 0)) == 0


def keep(folder: Path, record: Record, data: bytes) -> str:
    (folder / f"{KEY}.json").write_bytes(record.to_bytes())
    (folder / f"{KEY}{'.story' if record.whole else '.part'}").write_bytes(data)
    found = read(folder, KEY)
    assert found is not None
    return fault_of(folder, KEY, NAME, found)


def record(size: int, *spans: tuple[int, int]) -> Record:
    return Record(size, "audio/mpeg", f'"{NAME}-2"', 1, Spans(spans))


def test_what_is_kept_is_right_whole_or_in_part(tmp_path: Path) -> None:
    assert not keep(tmp_path, record(len(BODY), (0, len(BODY))), BODY)
    assert not keep(tmp_path, record(len(BODY), (0, 500)), BODY[:500] + bytes(40))


@pytest.mark.parametrize(
    ("kept", "data", "told"),
    [
        (record(500, (0, 500)), BODY[:500], "kept as a whole one, and 500 bytes"),
        (record(len(BODY), (0, len(BODY))), BODY[:-1], "as a whole one"),
        (record(len(BODY), (0, 500)), BODY[:400] + bytes(100), "its bytes 0 to 500 are others"),
        (record(len(BODY), (0, 500)), body_of(NAME, 3)[:500], "its bytes 0 to 500 are others"),
    ],
    ids=["broken off", "short", "lost in a cut", "of another edition"],
)
def test_what_is_kept_and_is_not_so_is_named(
    tmp_path: Path, kept: Record, data: bytes, told: str
) -> None:
    assert told in keep(tmp_path, kept, data)


def test_what_has_no_mark_is_known_by_what_its_bytes_say(tmp_path: Path) -> None:
    unmarked = replace(record(len(BODY), (0, len(BODY))), validator="")
    assert not keep(tmp_path, unmarked, BODY)
    assert "as a whole one" in keep(tmp_path, unmarked, BODY[:-1])


@dataclass
class Kept:
    """A machine whose card has a folder of stories, as `Keep` looks at one."""

    state: Path
    life: object = "runs"
    in_memory: bool = False
    card_away: bool = False
    damaged: set[str] = field(default_factory=set)


def pinned(tmp_path: Path) -> tuple[Keep, Any, Path]:
    folder = tmp_path / "stories"
    folder.mkdir()
    found, machine = Keep(), Kept(tmp_path)
    found.edition, found.pinned[NAME] = 2, 0
    keep(folder, record(len(BODY), (0, len(BODY))), BODY)
    return found, machine, folder / f"{KEY}.story"


@pytest.mark.parametrize("looks", [0, 1, 2])
def test_what_is_to_be_kept_for_good_stays_once_it_was_there_at_two_looks(
    tmp_path: Path, looks: int
) -> None:
    found, machine, story = pinned(tmp_path)
    for _ in range(looks):
        found.look(machine, {})
    story.unlink()
    found.look(machine, {})
    assert bool(found.broken) is (looks == 2)


def test_what_is_to_be_kept_for_good_may_go_when_its_server_has_another_one(
    tmp_path: Path,
) -> None:
    found, machine, story = pinned(tmp_path)
    for _ in range(2):
        found.look(machine, {})
    found.forget_whole()
    story.unlink()
    found.look(machine, {})
    assert found.broken == []


def test_what_is_kept_for_good_of_an_older_edition_may_go_whenever_somebody_asks_for_it(
    tmp_path: Path,
) -> None:
    found, machine, story = pinned(tmp_path)
    found.edition = 3
    for _ in range(3):
        found.look(machine, {})
    story.unlink()
    found.look(machine, {})
    assert found.broken == []


@pytest.mark.parametrize(("seconds", "is_broken"), [(570.0, False), (590.0, True)])
def test_what_is_to_be_kept_for_good_is_there_at_the_end(
    tmp_path: Path,
    seconds: float,
    is_broken: bool,  # noqa: FBT001
) -> None:
    found, machine, story = pinned(tmp_path)
    found.look_at_end(machine, 590.0)
    assert found.broken == []
    story.unlink()
    found.look_at_end(machine, seconds)
    assert bool(found.broken) is is_broken
