"""What the locks of `resources` guard is touched with the lock held, in every work that takes it (`tests.guarded`)."""

from __future__ import annotations

from pathlib import Path

import pytest

import resources.online.cache
import resources.playing.teller
import resources.record
from resources.loudness.gain_index import GainIndex
from resources.online.cache import Cache
from resources.playing.positions import Positions
from resources.playing.queue import Track
from resources.record import Record
from resources.titles.media_folder import MediaFolder
from tests.guarded import Guard, nothing
from tests.resources.times.test_budget import House
from tests.resources.times.test_keeper import House as KeeperHouse
from wire.rules import parse_listening, parse_rules
from wire.sleep import parse_timer

Patch = pytest.MonkeyPatch


def test_the_index_of_loudness(tmp_path: Path, monkeypatch: Patch) -> None:
    index = GainIndex(tmp_path / "gain.sqlite")
    guard = Guard(index, "_lock", monkeypatch).data("_database")
    (tmp_path / "a.wav").write_bytes(b"sound")
    guard.check(lambda: index.find(str(tmp_path / "a.wav")), index.close)


async def test_a_record_of_the_disk(tmp_path: Path, monkeypatch: Patch) -> None:
    record = Record(tmp_path / "volume.json")
    guard = Guard(record, "_lock", monkeypatch).calls(resources.record, "_write")
    await guard.check_tasks(lambda: record.save({"level": 3}))


def test_the_titles_of_a_folder(tmp_path: Path, monkeypatch: Patch) -> None:
    folder = MediaFolder(tmp_path)
    guard = Guard(folder, "_lock", monkeypatch).calls(folder, "_refresh", "_forget").data("_nodes")
    guard.check(folder.index, folder.unreadable, folder.close)


def test_a_kept_story(tmp_path: Path, monkeypatch: Patch) -> None:
    cache = Cache(tmp_path, 10_000, free_floor=0)
    kept = cache.begin("a", 100, "audio/mpeg", '"1"')
    assert kept is not None
    guard = Guard(kept, "_lock", monkeypatch).data("_file")
    noting = Guard(kept, "_syncing", monkeypatch).calls(cache, "note")
    guard.check(lambda: kept.write(0, bytes(50)), lambda: kept.read(0, 10))
    noting.check(kept.sync)
    assert guard.without == []
    guard.check(kept.close)


def test_the_kept_stories(tmp_path: Path, monkeypatch: Patch) -> None:
    cache = Cache(tmp_path, 10_000, free_floor=0)
    guard = Guard(cache, "_lock", monkeypatch).calls(cache, "_load").data("_open")
    guard.calls(resources.online.cache, "write_atomically")
    url = "http://h/a.mp3"
    record = cache.begin("b", 100, "audio/mpeg", '"1"')
    assert record is not None

    guard.check(
        lambda: cache.begin("a", 100, "audio/mpeg", '"1"'), lambda: cache.find("a"), lambda: cache.pin(url, pinned=True), cache.pinned,
        lambda: cache.has_whole("a"), cache.total, lambda: cache.note("b", record.record),
        lambda: cache.let_go("a"), lambda: cache.drop("a"),
    )  # fmt: skip


async def test_the_disk_of_positions(tmp_path: Path, monkeypatch: Patch) -> None:
    positions = Positions(tmp_path)
    guard = Guard(positions, "_disk", monkeypatch).calls(positions, "_try")
    store = positions._store
    assert store is not None
    guard.calls(store, "open", "beat", "write", "forget", "heard", "latest", "close")
    track = Track("a", "/a.mp3", "a")

    async def heard() -> None:
        positions.note(track, 100.0, 600.0, finished=False)
        await positions.flush()

    await guard.check_tasks(
        positions.load, lambda: positions.beat(track, 100.0, 600.0), heard, lambda: positions._heard("b"),
        positions._latest, lambda: positions.forget(None), positions.close,
    )  # fmt: skip


async def test_the_measure_of_listening(tmp_path: Path, monkeypatch: Patch) -> None:
    budget = House(tmp_path).budget
    ordering = Guard(budget, "_ordering", monkeypatch).calls(budget, "_save_rules")
    writing = Guard(budget, "_writing", monkeypatch).calls(budget, "_write_rules")
    order = parse_listening("daily 30")
    await ordering.check_tasks(lambda: budget.order(order))
    assert (writing.within, writing.without) == (["_write_rules"], [])
    await writing.check_tasks(budget._write)


async def test_the_timer_and_the_rules(tmp_path: Path, monkeypatch: Patch) -> None:
    keeper = KeeperHouse(tmp_path).keeper
    records = keeper._records
    ordering = Guard(keeper, "_ordering", monkeypatch)
    ordering.calls(records, "save_timer", "save_rules")
    writing = Guard(records, "_lock", monkeypatch)
    writing.calls(records, "_write_rules", "_write_timer", "_write_changes")
    rules, timer = parse_rules("quiet 20:30-06:30"), parse_timer("30")
    await ordering.check_tasks(lambda: keeper.order_rules(rules), lambda: keeper.order_timer(timer))
    await writing.check_tasks(records.save_rules, records.save_timer, records.close)


async def test_what_plays(tmp_path: Path, monkeypatch: Patch) -> None:
    teller = KeeperHouse(tmp_path).bench.teller
    guard = Guard(teller._programme, "lock", monkeypatch).calls(teller._holds, "lets_go_on")
    monkeypatch.setattr(resources.playing.teller, "play_chime", nothing)
    guard.calls(resources.playing.teller, "play_chime")
    await guard.check_tasks(teller._go_on_earlier, lambda: teller.prove_sound(5))


async def test_what_follows_and_what_is_ordered(tmp_path: Path, monkeypatch: Patch) -> None:
    teller = KeeperHouse(tmp_path).bench.teller
    programme = teller._programme
    guard = Guard(programme, "lock", monkeypatch)
    guard.calls(programme, "_follow").calls(teller, "_change")
    await guard.check_tasks(lambda: programme._go_on(programme.turn, None), teller.stop)
