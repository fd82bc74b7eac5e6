"""Orders that change the queue and the place in it: `resources.playing.targets` and the teller together."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import resources.playing.queue
import resources.playing.targets
from machine.errors import RefusedError, UnavailableError
from resources.playing.deck import Ready
from resources.playing.events import Changed, Ended, Started
from resources.playing.finder import find_in
from resources.playing.orders import SetMode
from resources.playing.positions import Positions
from resources.playing.queue import PlayMode, Queue, Track
from resources.playing.resume import Choice
from tests.moved_clock import on_moved_clock
from tests.resources.parts import DEADLINE, Bench, make_sounds

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACK_SECONDS = 4.0

LONG = 3600.0


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "media", "a", "b", "c", "d")
    make_sounds(tmp_path / "media" / "more", "x.mp3", "y.mp3")
    yield made
    await made.teller.close()


async def order(bench: Bench, value: object) -> None:
    await bench.point.put(json.dumps(value, ensure_ascii=False))


async def ends(bench: Bench) -> str:
    """Let the track end, and return the title that follows."""
    bench.player.on_end(None)
    return await bench.change()


def is_waited_for(bench: Bench) -> bool:
    """Return whether an order waits for the one that is carried out."""
    return bool(bench.teller._programme.lock._waiters)


async def rest(bench: Bench) -> list[str]:
    """Let all tracks end, and return their titles."""
    titles = [bench.teller.title]
    while title := await ends(bench):
        titles.append(title)
    return titles


async def test_a_list_is_the_queue(bench: Bench) -> None:
    await order(bench, ["c", "more", "http://h/z.mp3", "狮子王", "a"])
    assert "狮子王" in bench.teller.skipped[0]
    assert await rest(bench) == ["c", "x", "y", "http://h/z.mp3", "a"]


async def test_what_is_next_is_played_next_and_what_is_added_at_the_end(bench: Bench) -> None:
    await bench.point.put("c")
    await order(bench, {"next": ["more"]})
    await bench.point.put("下一首播放a")
    await order(bench, {"add": "b"})
    assert bench.events[-1] == Changed()
    assert await bench.point.get() == "c"
    assert bench.player.played == ["c"]
    assert await rest(bench) == ["c", "a", "x", "y", "d", "b"]


@pytest.mark.parametrize("word", ["next", "add"])
async def test_what_is_added_to_nothing_plays(bench: Bench, word: str) -> None:
    await order(bench, {word: ["b", "more"]})
    assert await rest(bench) == ["b", "x", "y"]


async def test_what_is_added_while_a_title_loads_is_kept(bench: Bench) -> None:
    bench.player.loading = asyncio.Event()
    loading = asyncio.create_task(order(bench, ["a"]))
    while not bench.player.played:
        await asyncio.sleep(0)
    adding = asyncio.create_task(order(bench, {"add": "b"}))
    bench.player.loading.set()
    await loading
    await adding
    assert await rest(bench) == ["a", "b"]


async def test_a_queue_that_would_be_too_long_stays_as_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.playing.queue, "QUEUE_LIMIT", 5)
    await bench.point.put("a")
    with pytest.raises(RefusedError, match="at most 5"):
        await order(bench, {"add": "more"})
    assert await rest(bench) == ["a", "b", "c", "d"]


async def test_all_titles_come_once_by_chance(bench: Bench) -> None:
    await bench.point.put("随机播放media")
    assert bench.teller.mode is PlayMode.SHUFFLE
    assert sorted(await rest(bench)) == ["a", "b", "c", "d", "x", "y"]


async def test_shuffle_begins_after_the_title_that_plays(bench: Bench) -> None:
    await bench.point.put("b")
    await bench.point.put("随机播放")
    played = await rest(bench)
    assert played[0] == "b"
    assert sorted(played) == ["a", "b", "c", "d"]
    assert bench.player.played == played


async def test_previous_goes_back_the_way_it_came(bench: Bench) -> None:
    await bench.point.put("shuffle")
    await bench.point.put("a")
    way = [await bench.point.get()]
    for _ in range(3):
        await bench.point.put("next")
        way.append(await bench.point.get())
    assert sorted(way) == ["a", "b", "c", "d"]
    for title in reversed(way[:-1]):
        await bench.point.put("previous")
        assert await bench.point.get() == title


async def test_the_order_of_the_folder_comes_back(bench: Bench) -> None:
    await bench.point.put("随机播放media")
    await bench.point.put("顺序播放")
    await order(bench, {"jump": "b"})
    assert await rest(bench) == ["b", "c", "d", "x", "y"]


async def test_one_title_is_repeated_until_somebody_goes_on(bench: Bench) -> None:
    await bench.point.put("c")
    await bench.point.put("单曲循环")
    assert [await ends(bench) for _ in range(3)] == ["c", "c", "c"]
    await bench.point.put("next")
    assert await bench.point.get() == "d"
    assert await ends(bench) == "d"


async def test_a_folder_is_repeated(bench: Bench) -> None:
    await bench.point.put("循环播放more")
    assert [await ends(bench) for _ in range(3)] == ["y", "x", "y"]
    await bench.point.put("next")
    assert await bench.point.get() == "x"
    await bench.point.put("previous")
    assert await bench.point.get() == "y"


@pytest.mark.parametrize("mode", [PlayMode.REPEAT_ALL, PlayMode.REPEAT_ONE])
async def test_a_folder_that_went_bad_is_not_tried_for_ever(bench: Bench, mode: PlayMode) -> None:
    await bench.point.put("x")
    await bench.teller.obey(SetMode(mode))
    bench.player.broken = {"x", "y"}
    bench.player.on_end(None)
    assert await bench.change() == ""
    assert len(bench.player.played) <= 4


@pytest.mark.parametrize(("to", "title"), [(3, "c"), ("d", "d"), ("第二首", "b")])
async def test_a_jump_plays_a_title_of_the_queue(bench: Bench, to: int | str, title: str) -> None:
    await bench.point.put("a")
    if to == "第二首":
        await bench.point.put(to)
    else:
        await order(bench, {"jump": to})
    assert await bench.point.get() == title


def hold_jumps(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, threading.Event]:
    """Hold a jump while its title is looked for: from the first event until the test sets the second."""
    looks, found = asyncio.Event(), threading.Event()
    loop, look = asyncio.get_running_loop(), find_in

    def held(queue: Queue, to: int | str) -> Queue:
        loop.call_soon_threadsafe(looks.set)
        assert found.wait(DEADLINE)
        return look(queue, to)

    monkeypatch.setattr(resources.playing.targets, "find_in", held)
    return looks, found


@pytest.mark.parametrize("mode", ["order", "shuffle"])
async def test_what_is_added_while_a_jump_is_looked_for_is_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    await bench.point.put("a")
    looks, found = hold_jumps(monkeypatch)
    jumping = asyncio.create_task(order(bench, {"jump": "d"}))
    await asyncio.wait_for(looks.wait(), DEADLINE)
    await order(bench, {"add": "x"})
    await bench.point.put(json.dumps({"mode": mode}))
    found.set()
    await jumping
    played = await rest(bench)
    assert played[0] == "d"
    assert "x" in played
    assert len(played) == (2 if mode == "order" else len(set(played)))


@pytest.mark.parametrize(
    ("before", "mode", "played"),
    [("order", "shuffle", "abcd"), ("shuffle", "order", "bcd")],
    ids=str,
)
async def test_a_mode_that_is_set_while_a_title_is_made_ready_holds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, before: str, mode: str, played: str
) -> None:
    await bench.point.put(json.dumps({"mode": before}))
    await bench.point.put("a")
    is_near, goes_on, prepare = asyncio.Event(), asyncio.Event(), bench.teller.deck.prepare

    async def held(track: Track, start: float | None) -> Ready:
        is_near.set()
        await goes_on.wait()
        return await prepare(track, start)

    monkeypatch.setattr(bench.teller.deck, "prepare", held)
    jumping = asyncio.create_task(order(bench, {"jump": "b"}))
    await asyncio.wait_for(is_near.wait(), DEADLINE)
    await bench.point.put(json.dumps({"mode": mode}))
    goes_on.set()
    await jumping
    told = await rest(bench)
    assert told[0] == "b"
    assert "".join(sorted(told)) == played


async def test_what_waits_to_be_added_is_given_up_for_a_jump(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, found = hold_jumps(monkeypatch)
    bench.player.loading = asyncio.Event()
    loading = asyncio.create_task(bench.point.put("b"))
    while bench.player.played[-1:] != ["b"]:
        await asyncio.sleep(0)
    adding = asyncio.create_task(order(bench, {"add": "x"}))
    await asyncio.sleep(0)  # it came before
    jumping = asyncio.create_task(order(bench, {"jump": "d"}))
    await asyncio.wait_for(looks.wait(), DEADLINE)
    async with asyncio.timeout(DEADLINE):
        while not is_waited_for(bench):
            await asyncio.sleep(0)
    found.set()
    for given_up in (loading, adding):
        with pytest.raises(UnavailableError, match="given up"):
            await given_up
    bench.player.loading.set()
    await jumping
    assert await rest(bench) == ["d"]


async def test_a_jump_to_nothing_leaves_what_plays(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="nothing is playing, so there is no jump"):
        await order(bench, {"jump": 1})
    await bench.point.put("a")
    for to in (9, "狮子王"):
        with pytest.raises(RefusedError, match=r"play\.jump: got"):
            await order(bench, {"jump": to})
    assert bench.player.played == ["a"]


async def test_a_place_is_gone_to(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="nothing is playing"):
        await order(bench, {"position": 5})
    await bench.point.put("a")
    await order(bench, {"position": 5})
    assert bench.player.at == 5
    assert bench.events[-1] == Changed()


@pytest.mark.parametrize("paused", [False, True])
async def test_from_the_start_again(bench: Bench, *, paused: bool) -> None:
    await bench.point.put("a")
    bench.player.at = 60.0
    if paused:
        await bench.point.put("pause")
    await bench.point.put("再听一遍")
    assert bench.player.at == 0.0
    assert bench.player.played == ["a"]
    assert not bench.teller.deck.paused


async def test_a_source_that_cannot_go_back_is_loaded_again(bench: Bench) -> None:
    async def refuse(_seconds: float) -> None:
        raise RefusedError("play: its server cannot go to a place in the middle")

    await bench.point.put("a")
    bench.player.seek = refuse  # type: ignore[assignment, method-assign]
    await bench.point.put("从头")
    assert bench.player.played == ["a", "a"]


def remembering(folder: Path, choice: Choice = Choice.STORY) -> Bench:
    return Bench(folder / "media", "a", "b", "c", memory=Positions(folder, choice))


async def heard(bench: Bench, seconds: float) -> None:
    bench.player.at, bench.player.duration = seconds, LONG
    await bench.teller.deck.beat()


@pytest.mark.parametrize("last", ["pause", "stop", "c", "next", "close", "kill"])
async def test_a_story_goes_on_where_it_was_left_however_that_was(
    tmp_path: Path, last: str
) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("a")
    await heard(bench, 100.0)
    if last not in {"close", "kill"}:
        await bench.point.put(last)
    if last != "kill":
        await bench.teller.close()
    made = remembering(tmp_path)
    await made.point.put("a")
    assert made.player.starts == [100.0 - BACK_SECONDS]
    await made.teller.close()


async def test_a_story_that_is_finished_begins_anew(tmp_path: Path) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("c")
    await heard(bench, 100.0)
    assert await ends(bench) == ""
    await bench.point.put("c")
    assert bench.player.starts == [0.0, 0.0]
    await bench.teller.close()


async def test_what_follows_by_itself_begins_at_its_start(tmp_path: Path) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("b")
    await heard(bench, 100.0)
    await bench.point.put("a")
    await ends(bench)
    assert bench.player.played == ["b", "a", "b"]
    assert bench.player.starts == [0.0, 0.0, 0.0]
    await bench.teller.close()


async def test_a_folder_goes_on_at_the_chapter_it_was_left_at(tmp_path: Path) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("media")
    await ends(bench)
    await heard(bench, 100.0)
    await bench.point.put("stop")
    await bench.point.put("media")
    assert bench.player.played[-1] == "b"
    assert bench.player.starts[-1] == 100.0 - BACK_SECONDS
    await bench.point.put("从头播放media")
    assert bench.player.played[-1] == "a"
    assert bench.player.starts[-1] == 0.0
    await bench.teller.close()


async def test_a_list_begins_with_its_first_title(tmp_path: Path) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("b")
    await heard(bench, 100.0)
    await order(bench, ["c", "b"])
    assert bench.player.played[-1] == "c"
    await order(bench, ["media"])  # which is a folder, as by its name
    assert bench.player.played[-1] == "c"
    await bench.teller.close()


@pytest.mark.parametrize("choice", [Choice.STORY, Choice.SONG])
async def test_the_next_morning_continue_goes_on_with_the_story(
    tmp_path: Path, choice: Choice
) -> None:
    bench = remembering(tmp_path, choice)
    with pytest.raises(RefusedError, match="nothing is playing"):
        await bench.point.put("继续")
    await bench.point.put("media")
    await ends(bench)
    await heard(bench, 100.0)
    await bench.teller.close()
    made = remembering(tmp_path, choice)
    await made.point.put("继续")
    assert made.player.played == ["b"]
    assert made.player.starts == [100.0 - BACK_SECONDS]
    await made.point.put("停止")
    await made.point.put("再听一遍")
    assert made.player.starts[-1] == 0.0
    await made.teller.close()


@pytest.mark.parametrize("first", ["a", '["a", "c", "b"]', '{"add": ["a", "c", "b"]}'])
async def test_continue_is_where_the_family_got_to_not_what_it_ordered(
    tmp_path: Path, first: str
) -> None:
    bench = remembering(tmp_path)
    await bench.point.put(first)
    await ends(bench)
    await bench.point.put("next")
    await heard(bench, 100.0)
    got_to = bench.teller.title
    assert got_to != "a"
    await bench.teller.close()
    made = remembering(tmp_path)
    await made.point.put("继续")
    assert made.player.played == [got_to]
    assert made.player.starts == [100.0 - BACK_SECONDS]
    await made.point.put("停止")
    await made.point.put("再听一遍")
    assert made.player.played[-1] == got_to
    assert made.player.starts[-1] == 0.0
    await made.teller.close()


async def test_what_is_ordered_is_the_last_one_also_after_a_power_cut_at_once(
    tmp_path: Path,
) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("b")
    await heard(bench, 100.0)
    await bench.point.put("a")
    await bench.teller.memory.flush()  # and nothing more: the power is cut
    made = remembering(tmp_path)
    await made.point.put("继续")
    assert made.player.played == ["a"]
    await made.point.put("b")
    await made.teller.memory.flush()
    made = remembering(tmp_path)
    await made.point.put("继续")
    assert made.player.starts == [100.0 - BACK_SECONDS]  # no further back


async def test_hear_it_again_is_the_title_that_ended_and_a_shuffled_rest_stays_so(
    tmp_path: Path,
) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("media")
    await heard(bench, 100.0)
    bench.teller.at_end.append(LastOne())
    await ends(bench)
    await bench.point.put("再听一遍")
    assert bench.player.played[-1] == "a"
    await bench.point.put("stop")
    await bench.point.put("随机播放")
    await bench.point.put("继续")
    assert bench.teller._programme.queue.order is not None
    assert bench.player.played[-1] == "a"
    await bench.teller.close()


class LastOne:
    """Lets nothing follow, as a sleep timer."""

    def goes_on(self, _ended: Ended) -> bool:
        return False


async def test_a_fade_leaves_the_story_where_it_began(tmp_path: Path) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("a")
    await heard(bench, 100.0)

    async def fade(_to_db: float, _seconds: float) -> bool:
        await heard(bench, 120.0)
        return True

    bench.player.fade = fade  # type: ignore[assignment, method-assign]
    assert await bench.teller.fade_out(20.0)
    await bench.point.put("a")
    assert bench.player.starts[-1] == 100.0 - BACK_SECONDS
    await bench.teller.close()


async def test_a_family_says_what_is_a_story_and_what_is_forgotten(tmp_path: Path) -> None:
    bench = remembering(tmp_path, Choice.SONG)
    await order(bench, {"resume": {"title": "media", "policy": "story"}})
    await bench.point.put("a")
    await heard(bench, 100.0)
    await bench.point.put("b")
    await bench.point.put("a")
    assert bench.player.starts[-1] == 100.0 - BACK_SECONDS
    await order(bench, {"resume": {"title": "a", "policy": "song"}})
    await bench.point.put("a")
    assert bench.player.starts[-1] == 0.0
    await order(bench, {"resume": {"title": "a", "policy": None}})
    for forgotten in ("a", "media", True):
        await bench.point.put("a")
        await heard(bench, 100.0)
        await bench.point.put("stop")
        await order(bench, {"forget": forgotten})
        await bench.point.put("a")
        assert bench.player.starts[-1] == 0.0
    await bench.teller.close()


async def test_a_server_that_sends_the_beginning_only_is_told(tmp_path: Path) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("http://h/a.mp3")
    await heard(bench, 100.0)
    real = bench.player.play

    async def anew(source: str, *more: object, **named: object) -> None:
        await real(source, *more, **(named | {"start": 0.0}))  # type: ignore[arg-type]
        bench.player.at = 0.0

    bench.player.play = anew  # type: ignore[method-assign]
    await bench.point.put("http://h/a.mp3")
    assert bench.player.at == 0.0
    assert bench.teller.skipped == [
        "http://h/a.mp3: its server cannot go on in the middle: it begins anew"
    ]
    await bench.teller.close()


async def test_a_mode_is_kept_over_a_restart(tmp_path: Path) -> None:
    bench = remembering(tmp_path)
    await bench.point.put("循环播放")
    await bench.teller.close()
    made = remembering(tmp_path)
    await made.point.put("c")
    assert await ends(made) == "a"
    await made.teller.close()


async def test_a_disk_that_fails_stops_no_story(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "media", "a", "b", memory=Positions(tmp_path / "none", Choice.STORY))
    await bench.point.put("a")
    await heard(bench, 100.0)
    await bench.point.put("b")
    await bench.point.put("a")
    assert bench.player.starts[-1] == 100.0 - BACK_SECONDS
    with pytest.raises(UnavailableError, match="nothing can be forgotten"):
        await order(bench, {"forget": True})
    await bench.teller.close()


async def test_a_player_that_hangs_holds_up_no_stop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.playing.deck.ANSWER_SECONDS", 0.0)
    await bench.point.put("a")

    async def hang() -> float | None:
        await asyncio.Event().wait()
        return None

    bench.player.position = hang  # type: ignore[method-assign]
    await asyncio.wait_for(bench.point.put("stop"), DEADLINE)
    assert bench.player.played[-1] == "(stop)"
    assert not any(isinstance(event, Started) for event in bench.events[1:])


@on_moved_clock
async def test_nobody_is_woken_for_the_place_of_a_track_while_there_is_none(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "media", "a", "b")
    deck, looks = bench.teller.deck, list[str]()

    async def noted() -> None:
        looks.append("" if deck.track is None else deck.track.title)

    deck.beat = noted  # type: ignore[method-assign]
    beats = asyncio.create_task(deck.run())
    await asyncio.sleep(3600)
    assert looks == []
    await bench.point.put("a")
    await asyncio.sleep(60)
    assert 10 <= len(looks) <= 12  # each 5 s
    assert set(looks) == {"a"}
    await bench.point.put("stop")
    await asyncio.sleep(3600)
    assert looks[12:] in ([], [""])
    await bench.point.put("b")
    await asyncio.sleep(6)
    assert looks[-1] == "b"
    beats.cancel()
    await bench.teller.close()
