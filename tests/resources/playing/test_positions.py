"""What the machine remembers of titles, with a disk, with a failing one, and after a kill."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import resources.playing.positions
from machine.errors import RefusedError, UnavailableError
from resources.playing.position_store import PositionStore
from resources.playing.positions import Positions
from resources.playing.queue import PlayMode, Queue, Track
from resources.playing.resume import Choice, Policy
from tests.resources.parts import DEADLINE, make_sounds

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACK_SECONDS = 4.0

A, B = Track("a", "/m/x/a.mp3", "x/a.mp3"), Track("b", "/m/x/b.mp3", "x/b.mp3")
URL = Track("u", "http://h/u.mp3", "//h/u.mp3")
LONG = 3600.0


@pytest.fixture
async def positions(tmp_path: Path) -> AsyncIterator[Positions]:
    made = Positions(tmp_path)
    yield made
    await made.close()


async def again(positions: Positions, folder: Path, choice: Choice = Choice.AUTO) -> Positions:
    await positions.close()
    made = Positions(folder, choice)
    await made.load()
    return made


async def test_a_story_goes_on_also_after_a_restart(positions: Positions, tmp_path: Path) -> None:
    positions.note(A, 100.0, LONG, finished=False)
    positions.note(URL, 50.0, LONG, finished=False)
    assert await positions.start_of(A) == 100.0 - BACK_SECONDS  # before it is on the disk
    made = await again(positions, tmp_path)
    assert await made.start_of(A) == 100.0 - BACK_SECONDS
    assert await made.start_of(URL) == 50.0 - BACK_SECONDS
    assert await made.start_of(B) == 0.0
    made.note(A, LONG, LONG, finished=True)
    made = await again(made, tmp_path)
    assert await made.start_of(A) == 0.0
    await made.close()


async def test_a_song_begins_at_its_start(positions: Positions) -> None:
    positions.note(A, 100.0, 200.0, finished=False)
    assert await positions.start_of(A) == 0.0
    assert await positions.left_at(A) == 100.0 - BACK_SECONDS  # if it is resumed by name


@pytest.mark.parametrize("key", ["x/a.mp3", "x/", "/"])
async def test_a_family_says_what_is_a_story(
    positions: Positions, tmp_path: Path, key: str
) -> None:
    positions.note(A, 100.0, 200.0, finished=False)
    await positions.set_policy(key, Policy.STORY)
    made = await again(positions, tmp_path)
    assert await made.start_of(A) == 100.0 - BACK_SECONDS
    await made.set_policy(key, None)
    assert await made.start_of(A) == 0.0
    await made.close()


async def test_the_title_counts_before_its_folder(positions: Positions) -> None:
    positions.note(A, 100.0, 200.0, finished=False)
    await positions.set_policy("x/", Policy.STORY)
    await positions.set_policy("x/a.mp3", Policy.SONG)
    assert await positions.start_of(A) == 0.0


async def test_the_setting_is_for_what_nobody_said_anything_about() -> None:
    positions = Positions(None, Choice.STORY)
    positions.note(A, 100.0, 200.0, finished=False)
    assert await positions.start_of(A) == 100.0 - BACK_SECONDS
    made = Positions(None, Choice.SONG)
    made.note(A, 100.0, LONG, finished=False)
    assert await made.start_of(A) == 0.0


async def test_a_file_on_the_card_says_it_too(tmp_path: Path) -> None:
    card = tmp_path / "m"
    make_sounds(card / "x", "a.mp3")
    (card / "x" / "resume.txt").write_text("\ufeffStory\r\n")
    track = Track("a", str(card / "x/a.mp3"), "x/a.mp3")
    positions = Positions()
    positions.note(track, 100.0, 200.0, finished=False)
    assert await positions.start_of(track) == 100.0 - BACK_SECONDS
    await positions.set_policy("x/", Policy.SONG)
    assert await positions.start_of(track) == 0.0


async def test_a_folder_goes_on_where_it_was_left(positions: Positions, tmp_path: Path) -> None:
    queue = Queue([A, B], whole=True)
    positions.note(A, LONG, LONG, finished=True)
    assert (await positions.arrange(queue)).index == 1
    positions.note(B, 100.0, LONG, finished=False)
    made = await again(positions, tmp_path)
    assert (await made.arrange(queue)).index == 1
    assert (await made.arrange(Queue([A, B]))).index == 0  # one title was asked for
    made.note(B, 100.0, 200.0, finished=False)
    assert (await made.arrange(queue)).index == 0  # a song
    assert (await made.last_of(queue, again=False)).index == 1
    assert (await made.last_of(Queue([A, B]), again=False)).index == 1  # whatever was asked for
    made.note(A, LONG, LONG, finished=True)
    assert (await made.last_of(queue, again=False)).index == 1
    assert (await made.last_of(queue, again=True)).index == 0
    await made.close()


async def test_mode_and_last_order_are_there_again(positions: Positions, tmp_path: Path) -> None:
    assert (positions.mode, positions.last) == (PlayMode.ORDER, ())
    positions.mode = PlayMode.REPEAT_ALL
    positions.last = ("西游记", "http://h/a.mp3")
    made = await again(positions, tmp_path)
    assert (made.mode, made.last) == (PlayMode.REPEAT_ALL, ("西游记", "http://h/a.mp3"))
    made.last = "西游记"
    made = await again(made, tmp_path)
    assert made.last == "西游记"
    made._set_note("mode", "odd")
    made._set_note("last", "{")
    assert made.mode is PlayMode.ORDER
    assert not made.last
    await made.close()


async def test_what_is_set_before_the_files_are_open_is_newer_than_what_they_have(
    positions: Positions, tmp_path: Path
) -> None:
    positions.mode = PlayMode.REPEAT_ALL
    await positions.close()
    made = Positions(tmp_path)
    made.mode = PlayMode.SHUFFLE
    await made.load()
    assert made.mode is PlayMode.SHUFFLE
    made = await again(made, tmp_path)
    assert made.mode is PlayMode.SHUFFLE
    await made.close()


async def test_what_is_noted_while_the_disk_writes_is_written_next(
    positions: Positions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    write = PositionStore.write

    def slow(self: PositionStore, rows: Any, notes: Any) -> bool:
        begun.set()
        go_on.wait(DEADLINE)
        return write(self, rows, notes)

    positions.note(A, 100.0, LONG, finished=False)
    positions.mode = PlayMode.SHUFFLE
    await positions.load()
    with monkeypatch.context() as patch:
        patch.setattr(PositionStore, "write", slow)
        writing = asyncio.create_task(positions.flush())
        await asyncio.to_thread(begun.wait, DEADLINE)
    positions.note(A, 200.0, LONG, finished=False)
    positions.mode = PlayMode.REPEAT_ONE
    go_on.set()
    assert await writing
    assert await positions.start_of(A) == 200.0 - BACK_SECONDS
    made = await again(positions, tmp_path)
    assert await made.start_of(A) == 200.0 - BACK_SECONDS
    assert made.mode is PlayMode.REPEAT_ONE
    await made.close()


async def test_what_is_forgotten_is_forgotten(positions: Positions, tmp_path: Path) -> None:
    for track in (A, B):
        positions.note(track, 100.0, LONG, finished=False)
    await positions.flush()
    positions.note(A, 200.0, LONG, finished=False)
    await positions.forget([A.key])
    assert await positions.start_of(A) == 0.0
    assert await positions.start_of(B) > 0.0
    await positions.forget(None)
    made = await again(positions, tmp_path)
    assert await made.start_of(B) == 0.0
    await made.close()


async def test_policies_are_bounded(positions: Positions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.playing.positions, "POLICIES_LIMIT", 1)
    await positions.set_policy("x/", Policy.STORY)
    await positions.set_policy("x/", Policy.SONG)
    with pytest.raises(RefusedError, match="at most 1 titles and folders"):
        await positions.set_policy("y/", Policy.SONG)


async def test_a_disk_that_fails_costs_no_story(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.playing.positions, "UNWRITTEN_LIMIT", 3)
    positions = Positions(tmp_path / "none")
    for number in range(5):
        track = Track(str(number), f"/{number}", str(number))
        positions.note(track, 100.0, LONG, finished=False)
        assert not await positions.flush()
    assert list(positions._rows) == ["2", "3", "4"]
    await positions.beat(A, 5.0, LONG)
    assert "not remembered on the disk" in caplog.text
    with pytest.raises(UnavailableError, match="nothing can be forgotten"):
        await positions.forget(None)
    with pytest.raises(UnavailableError, match="play_mode: not stored"):
        await positions.keep_mode(PlayMode.SHUFFLE)
    with pytest.raises(UnavailableError, match=r"play\.resume: not stored"):
        await positions.set_policy("x/", Policy.SONG)
    # What was told to have failed is not in force, nor stored once the disk takes it again.
    assert positions.mode is PlayMode.ORDER
    (tmp_path / "none").mkdir()
    assert await positions.flush()
    await positions.close()
    later = Positions(tmp_path / "none")
    await later.load()
    assert (later.mode, later._notes) == (PlayMode.ORDER, {})
    await later.close()


async def test_a_disk_that_comes_back_gets_what_was_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.playing.positions, "RETRY_SECONDS", 0.0)
    folder = tmp_path / "later"
    positions = Positions(folder)
    await positions.load()
    positions.note(A, 100.0, LONG, finished=False)
    running = asyncio.create_task(positions.run())
    while not positions._wake.is_set():
        await asyncio.sleep(0)
    folder.mkdir()
    async with asyncio.timeout(DEADLINE):
        while positions._rows:
            await asyncio.sleep(0)
    running.cancel()
    await positions.close()
    store = PositionStore(folder)
    store.open()
    assert store.heard(A.key)
    store.close()


async def test_a_file_that_could_not_be_opened_is_read_later_also_if_nobody_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.playing.positions, "RETRY_SECONDS", 0.0)
    kept = Positions(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    await kept.keep_mode(PlayMode.SHUFFLE)
    await kept.beat(A, 100.0, LONG)
    await kept.close()
    positions = Positions(tmp_path / "card")
    await positions.load()
    assert positions.mode != "shuffle"
    running = asyncio.create_task(positions.run())
    (tmp_path / "kept").rename(tmp_path / "card")
    async with asyncio.timeout(DEADLINE):
        while positions.mode != "shuffle":
            await asyncio.sleep(0)
    running.cancel()
    assert await positions.left_at(A) == 100.0 - BACK_SECONDS
    await positions.close()


async def test_a_place_that_the_disk_has_no_room_for_is_known_and_written_later(
    positions: Positions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await positions.beat(A, 100.0, LONG)
    await positions.close()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    made = Positions(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(PositionStore, "_merge", full)
        await made.load()
    assert await made.left_at(A) == 100.0 - BACK_SECONDS
    await made.beat(B, 50.0, LONG)  # it takes the older place in the file
    await made.beat(B, 55.0, LONG)
    assert await made.flush()
    made = await again(made, tmp_path)
    assert await made.left_at(A) == 100.0 - BACK_SECONDS
    assert await made.left_at(B) == 55.0 - BACK_SECONDS
    await made.close()


async def test_an_order_that_is_broken_off_is_over_before_the_next_one_writes(
    positions: Positions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads on one connection would commit, and undo, each other's halves."""
    steps: list[str] = []
    begun, go_on = threading.Event(), threading.Event()
    write, forget = PositionStore.write, PositionStore.forget

    def slow(self: PositionStore, rows: Any, notes: Any) -> bool:
        begun.set()
        go_on.wait(DEADLINE)
        done = write(self, rows, notes)
        steps.append("written")
        return done

    def watched(self: PositionStore, keys: Any) -> int:
        steps.append("forgotten")
        return forget(self, keys)

    monkeypatch.setattr(PositionStore, "forget", watched)
    await positions.load()
    with monkeypatch.context() as patch:
        patch.setattr(PositionStore, "write", slow)
        order = asyncio.create_task(positions.keep_mode(PlayMode.SHUFFLE))
        await asyncio.to_thread(begun.wait, DEADLINE)
    order.cancel()
    later = asyncio.create_task(positions.forget(None))
    for _ in range(20):  # turns in which it could begin
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await order
    await later
    assert steps == ["written", "forgotten"]
    assert positions.mode is PlayMode.ORDER
    made = await again(positions, tmp_path)
    assert made.mode is PlayMode.ORDER  # nor at the next start
    await made.close()


async def test_an_order_that_reads_ends_at_its_deadline_while_the_card_hangs(
    positions: Positions, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, over = (threading.Event() for _ in range(3))

    def hang(_self: PositionStore, _key: str) -> None:
        begun.set()
        go_on.wait(DEADLINE)
        over.set()

    await positions.load()
    with monkeypatch.context() as patch:
        patch.setattr(PositionStore, "heard", hang)
        order = asyncio.create_task(positions.start_of(A))
        await asyncio.to_thread(begun.wait, DEADLINE)
    order.cancel()
    with pytest.raises(asyncio.CancelledError):
        await order
    assert not over.is_set()
    positions.note(A, 100.0, LONG, finished=False)
    assert await positions.flush()  # beside what still reads
    go_on.set()


async def test_a_key_too_long_for_a_beat_is_a_row(positions: Positions, tmp_path: Path) -> None:
    long = Track("long", "http://h/x", "//h/" + "x" * 3000)
    await positions.beat(long, 100.0, LONG)
    await positions.beat(Track("none", "http://h/y"), 100.0, LONG)
    made = await again(positions, tmp_path)
    assert await made.start_of(long) == 100.0 - BACK_SECONDS
    await made.close()


BEATING = """
import asyncio, sys
from pathlib import Path
from resources.playing.positions import Positions
from resources.playing.queue import Track

async def main():
    positions = Positions(Path(sys.argv[1]))
    await positions.load()
    track = Track("a", "/a.mp3", "a.mp3")
    for number in range(10**6):
        at = 100.0 + number
        await positions.beat(track, at, 10**6)
        print(at, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("beats", [1, 2, 7, 50])
async def test_after_a_kill_at_any_moment_a_story_goes_on_at_the_last_beat(
    tmp_path: Path, beats: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BEATING, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    told = [float(await process.stdout.readline()) for _ in range(beats)]
    process.kill()
    rest = (await process.stdout.read()).split()
    await process.wait()
    positions = Positions(tmp_path)
    start = await positions.start_of(Track("a", "/a.mp3", "a.mp3"))
    last = float(rest[-1]) if rest else told[-1]
    assert last <= start + BACK_SECONDS <= last + 1.0  # the beat that was not told any more
    await positions.close()


async def test_a_mode_that_is_stored_stays_although_one_beside_it_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions, write, tries = Positions(tmp_path), PositionStore.write, list[object]()
    await positions.load()

    def first_fails(self: PositionStore, rows: Any, notes: Any) -> Any:
        tries.append(notes)
        if len(tries) == 1:
            raise OSError(errno.ENOSPC, "no room")
        return write(self, rows, notes)

    monkeypatch.setattr(PositionStore, "write", first_fails)
    refused, done = await asyncio.gather(
        positions.keep_mode(PlayMode.REPEAT_ONE),
        positions.keep_mode(PlayMode.SHUFFLE),
        return_exceptions=True,
    )
    assert isinstance(refused, UnavailableError)
    assert done is None
    assert positions.mode is PlayMode.SHUFFLE
    await positions.close()
    later = Positions(tmp_path)
    await later.load()
    assert later.mode is PlayMode.SHUFFLE
    await later.close()
