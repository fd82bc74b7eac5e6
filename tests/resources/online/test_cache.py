"""Stories on the disk: what a crash leaves, what is left out first, what is never left out."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machine.errors import RefusedError
from resources.online.cache import PINS, Cache, Kept, Record, key_of, parse_record
from resources.online.policy import parse_target
from resources.online.spans import Spans
from tests.resources.online.killed_writer import SIZE, body
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PINS_LIMIT = 200

BODY = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "stories"


def open_cache(folder: Path, limit: int = 1_000_000) -> Cache:
    return Cache(folder, limit, free_floor=0)


def keep(cache: Cache, key: str, body: bytes = BODY, upto: int | None = None) -> None:
    kept = cache.begin(key, len(body), "audio/mpeg", '"1"')
    assert kept is not None
    kept.write(0, body[:upto])
    kept.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_story_is_whole_when_all_its_bytes_are_there_and_not_before(folder: Path) -> None:
    cache = open_cache(folder)
    kept = cache.begin("a", len(BODY), "audio/mpeg", '"1"')
    assert kept is not None
    kept.write(5000, BODY[5000:])
    kept.write(0, BODY[:4999])
    kept.sync()
    assert names(folder) == ["a.json", "a.part"]
    assert kept.run(0) == 4999
    kept.write(4999, BODY[4999:5000])
    assert names(folder) == ["a.json", "a.story"]
    kept.close()
    again = open_cache(folder).find("a")
    assert again is not None
    assert again.record.whole
    assert again.read(0, len(BODY) + 5) == BODY
    again.close()


def test_a_cut_transfer_goes_on_after_a_restart(folder: Path) -> None:
    keep(open_cache(folder), "a", upto=3000)
    cache = open_cache(folder)
    kept = cache.begin("a", len(BODY), "audio/mpeg", '"1"')
    assert kept is not None
    assert kept.run(0) == 3000
    kept.write(3000, BODY[3000:])
    assert kept.read(0, len(BODY)) == BODY
    kept.close()


def test_other_bytes_of_the_same_address_begin_anew(folder: Path) -> None:
    cache = open_cache(folder)
    keep(cache, "a")
    kept = cache.begin("a", len(BODY), "audio/mpeg", '"2"')
    assert kept is not None
    assert kept.run(0) == 0
    kept.close()
    assert names(folder) == ["a.json", "a.part"]


def test_those_used_longest_ago_are_left_out_first(folder: Path) -> None:
    cache = open_cache(folder, limit=3 * len(BODY))
    for key in "abc":
        keep(cache, key)
    used = cache.find("a")
    assert used is not None
    used.close()
    keep(cache, "d")
    assert cache.find("b") is None
    assert cache.total() == 3 * len(BODY)
    # The order survives a restart.
    keep(open_cache(folder, limit=3 * len(BODY)), "e")
    assert {name[0] for name in names(folder)} == {"a", "d", "e"}


def test_what_comes_while_the_card_syncs_is_not_told_as_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be on the disk, or not: the record tells of the bytes that were there before the sync began."""
    cache = open_cache(folder)
    kept = cache.begin("a", len(BODY), "audio/mpeg", '"1"')
    assert kept is not None
    kept.write(0, BODY[:1000])
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        fsync(descriptor)
        monkeypatch.undo()
        kept.write(1000, BODY[1000:2000])

    monkeypatch.setattr(os, "fsync", slow)
    kept.sync()
    assert parse_record((folder / "a.json").read_bytes()).spans.ranges == [(0, 1000)]
    kept.sync()
    assert parse_record((folder / "a.json").read_bytes()).spans.ranges == [(0, 2000)]
    kept.close()


def test_pinned_and_open_stories_stay(folder: Path) -> None:
    cache = open_cache(folder, limit=2 * len(BODY))
    url = "http://h/a.mp3"
    cache.pin(url, pinned=True)
    key = key_of(parse_target(url))
    keep(cache, key)
    assert cache.pinned() == [(url, True)]
    being_heard = cache.begin("b", len(BODY), "", "")
    assert being_heard is not None
    assert cache.begin("c", len(BODY), "", "") is None
    being_heard.close()
    keep(cache, "c")
    assert cache.begin("d", 2 * len(BODY), "", "") is None
    cache.pin(url, pinned=False)
    keep(cache, "d", 2 * BODY)
    assert cache.pinned() == []


def test_a_pin_waits_for_its_story(folder: Path) -> None:
    url = "http://user:secret@h/a.mp3?x#y"
    open_cache(folder).pin(url, pinned=True)
    cache = open_cache(folder)
    assert cache.pinned() == [(url, False)]
    keep(cache, key_of(parse_target(url)))
    assert cache.pinned() == [(url, True)]
    assert folder.stat().st_mode & 0o77 == 0
    assert all(path.stat().st_mode & 0o77 == 0 for path in folder.iterdir())


def test_pins_are_bounded_and_a_damaged_list_costs_the_pins_only(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = open_cache(folder)
    for number in range(PINS_LIMIT):
        cache.pin(f"http://h/{number}?token=s3cret", pinned=True)
    with pytest.raises(RefusedError, match="200 stories"):
        cache.pin("http://h/more", pinned=True)
    cache.pin("http://h/0?token=s3cret", pinned=True)
    keep(cache, "a")
    (folder / PINS).write_text('{"urls": ["http://h/s3cret", 5]}')
    cache = open_cache(folder)
    assert cache.pinned() == []
    assert cache.total() == len(BODY)
    assert "s3cret" not in caplog.text
    with pytest.raises(RefusedError, match="cache_bytes is 0"):
        open_cache(folder, limit=0).pin("http://h/a", pinned=True)


def test_nothing_is_kept_that_fits_in_no_way(folder: Path) -> None:
    assert open_cache(folder, limit=0).begin("a", 1, "", "") is None
    assert Cache(folder, 10**18, free_floor=10**18).begin("a", 1, "", "") is None
    assert open_cache(folder, limit=9).begin("a", 10, "", "") is None


def test_a_story_is_fetched_by_one_only(folder: Path) -> None:
    cache = open_cache(folder)
    kept = cache.begin("a", 10, "", "")
    assert kept is not None
    assert cache.begin("a", 10, "", "") is None
    assert cache.find("a") is None
    kept.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "a.json").write_bytes(b"{"),
        lambda folder: (folder / "a.json").unlink(),
        lambda folder: (folder / "a.story").unlink(),
        lambda folder: os.truncate(folder / "a.story", 100),
    ],
    ids=["record", "no record", "no bytes", "short"],
)
def test_damage_costs_that_story_only(
    folder: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    cache = open_cache(folder)
    keep(cache, "a")
    keep(cache, "b")
    assert callable(damage)
    damage(folder)
    cache = open_cache(folder)
    assert cache.find("a") is None
    kept = cache.find("b")
    assert kept is not None
    kept.close()
    assert len(caplog.records) <= 1
    assert {name[0] for name in names(folder)} == {"b"}


def test_leftovers_of_a_crash_are_removed(folder: Path) -> None:
    keep(open_cache(folder), "a")
    for name in (".a.json.tmp", "z.part", "strange"):
        (folder / name).write_bytes(b"x")
    assert open_cache(folder).total() == len(BODY)
    assert names(folder) == ["a.json", "a.story"]


def test_a_crash_between_record_and_rename_loses_nothing(folder: Path) -> None:
    keep(open_cache(folder), "a")
    (folder / "a.story").rename(folder / "a.part")
    kept = open_cache(folder).find("a")
    assert kept is not None
    assert kept.read(0, len(BODY)) == BODY
    kept.close()


@pytest.mark.parametrize("lines", [7, 60, 143, 301])
def test_a_process_that_is_killed_leaves_no_byte_that_is_none(folder: Path, lines: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    script = Path(__file__).with_name("killed_writer.py")
    with subprocess.Popen(
        [sys.executable, script, folder], stdout=subprocess.PIPE, env=environment
    ) as writer:
        assert writer.stdout is not None
        for _ in range(lines):
            writer.stdout.readline()
        writer.kill()
    cache = open_cache(folder, 3 * SIZE)
    found = [cache.find(f"key{number}") for number in range(5)]
    checked = [check(kept, number) for number, kept in enumerate(found) if kept is not None]
    assert checked or lines < 10
    assert cache.total() <= 3 * SIZE
    assert not [name for name in names(folder) if name.startswith(".")]


def check(kept: Kept, number: int) -> bool:
    """Compare what is there with what was written; close it."""
    story = body(number)
    for first, end in kept.record.spans.ranges:
        assert kept.read(first, end - first) == story[first:end]
    kept.close()
    return True


def test_a_full_disk_is_an_error_and_no_whole_story(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = open_cache(folder)
    kept = cache.begin("a", len(BODY), "", "")
    assert kept is not None
    kept.write(0, BODY[:100])

    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space"):
            kept.write(100, BODY[100:])
    assert kept.run(0) == 100
    kept.close()


def test_a_part_goes_on_only_where_its_rest_has_room(folder: Path) -> None:
    cache = open_cache(folder, limit=len(BODY) + 5000)
    keep(cache, "b", upto=3000)
    keep(cache, "a")
    playing = cache.find("a")
    assert playing is not None
    assert cache.find("b") is None
    playing.close()
    rest = cache.find("b")
    assert rest is not None
    rest.write(3000, BODY[3000:])
    rest.close()
    assert names(folder) == ["b.json", "b.story"]


@pytest.mark.parametrize("is_started_anew", [False, True])
def test_what_a_disk_does_not_let_go_counts_until_it_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_started_anew: bool
) -> None:
    cache = open_cache(folder, limit=len(BODY) + 100)
    keep(cache, "a")
    if is_started_anew:  # a crash has left bytes without a record
        (folder / "a.json").unlink()
        cache = open_cache(folder, limit=len(BODY) + 100)
    with monkeypatch.context() as read_only:

        def refuse(path: Path, *, missing_ok: bool = False) -> None:
            del missing_ok
            raise OSError(errno.EROFS, "Read-only file system", str(path))

        read_only.setattr(Path, "unlink", refuse)
        assert cache.begin("b", len(BODY), "audio/mpeg", '"1"') is None
    assert "a.story" in names(folder)
    keep(cache, "b")
    assert names(folder) == ["b.json", "b.story"]


def test_the_query_and_the_login_tell_stories_apart() -> None:
    urls = ["http://h/a?1", "http://h/a?2", "http://u:p@h/a?1", "https://h/a?1"]
    assert len({key_of(parse_target(url)) for url in urls}) == 4
    assert key_of(parse_target("HTTP://H:80/a#x")) == key_of(parse_target("http://h/a"))


@given(
    st.builds(
        Record, size=st.integers(100, 10**9), content_type=st.text(max_size=9), used=st.integers(0, 9),
        spans=st.builds(Spans, st.lists(st.tuples(st.integers(0, 50), st.integers(0, 100)))),
    )
)  # fmt: skip
def test_a_record_survives_the_disk(record: Record) -> None:
    again = parse_record(record.to_bytes())
    assert (again.size, again.spans.ranges) == (record.size, record.spans.ranges)


@pytest.mark.parametrize(
    "change",
    [
        b'"format": 2',
        b'"size": -1',
        b'"size": true',
        b'"spans": [[5, 1]]',
        b'"spans": [[0, 99]]',
        b'"spans": 1',
    ],
)
def test_a_record_that_is_none_names_its_member(change: bytes) -> None:
    name = change.split(b'"')[1]
    lines = Record(10).to_bytes().strip(b"{}").split(b", ")
    lines = [line for line in lines if not line.startswith(b'"' + name)]
    with pytest.raises(WireError, match=name.decode()):
        parse_record(b"{" + b", ".join([*lines, change]) + b"}")
