"""A story that is held (`resources.playing.holds`), faded, refused or ended by others than those who order titles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machine.errors import RefusedError, UnavailableError
from resources.playing.deck import Deck
from resources.playing.events import (
    Ended,
    Kind,
    Paused,
    Refused,
    RefusedOrderError,
    Resumed,
    Started,
    State,
    Stopped,
)
from resources.playing.orders import Command, Order
from resources.playing.positions import Positions
from resources.playing.queue import Queue, Track
from resources.playing.teller import SILENT_DB, Teller
from tests.resources.parts import DEADLINE, Bench, ScriptedPlayer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACK_SECONDS = 4.0


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "media", "a", "b", "c", "d")
    yield made
    await made.teller.close()


def is_paused(bench: Bench) -> bool | None:
    return bench.player.paused


async def test_a_held_story_goes_on_a_little_earlier(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.at = 60.0
    async with bench.teller.hold():
        assert is_paused(bench) is True
        assert (await bench.teller.snapshot()).state is State.WAITING
    assert is_paused(bench) is False
    assert bench.player.at == 60.0 - BACK_SECONDS
    assert bench.teller.state is State.PLAYING


async def test_a_story_goes_on_also_when_what_held_it_fails(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.at = 2.0
    with contextlib.suppress(ZeroDivisionError):
        async with bench.teller.hold():
            raise ZeroDivisionError
    assert is_paused(bench) is False
    assert bench.player.at == 0.0


async def test_a_story_goes_on_also_when_what_held_it_is_cancelled(bench: Bench) -> None:
    await bench.point.put("a")
    held = asyncio.Event()

    async def listen() -> None:
        async with bench.teller.hold():
            held.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(listen())
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_paused(bench) is False


@pytest.mark.parametrize(
    ("order", "paused", "title"),
    [("pause", True, "a"), ("resume", False, "a"), ("b", None, "b"), ("next", None, "b"), ("stop", None, "")],
)  # fmt: skip
async def test_what_is_ordered_meanwhile_is_what_is_done(
    bench: Bench, order: str, *, paused: bool | None, title: str
) -> None:
    await bench.point.put("a")
    bench.player.at = 60.0
    async with bench.teller.hold():
        bench.player.paused = None
        await bench.point.put(order)
        at = bench.player.at
    assert bench.player.paused is paused
    assert bench.player.at == at  # no step back
    assert await bench.point.get() == title


@pytest.mark.parametrize(
    ("order", "at"),
    [
        ('{"next": "c"}', 56.0), ('{"add": ["c", "d"]}', 56.0), ("单曲循环", 56.0), ('{"forget": "d"}', 56.0),
        ('{"position": 20}', 20.0),
    ],
)  # fmt: skip
async def test_an_order_that_leaves_the_story_playing_leaves_it_to_who_holds_it(
    bench: Bench, order: str, at: float
) -> None:
    """Whoever says "play c next" to the machine must not make it silent."""
    await bench.point.put("a")
    bench.player.at = 60.0
    async with bench.teller.hold():
        await bench.point.put(order)
        assert is_paused(bench) is True
        assert bench.teller.state is State.WAITING
    assert is_paused(bench) is False
    assert bench.player.at == at
    async with bench.teller.hold():  # the next one goes back as ever
        pass
    assert bench.player.at == at - BACK_SECONDS


async def test_a_story_that_is_begun_anew_while_it_is_held_sounds(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.at = 60.0
    async with bench.teller.hold():
        await bench.point.put("从头")
        assert is_paused(bench) is False
        assert bench.teller.state is State.PLAYING
    assert (is_paused(bench), bench.player.at) == (False, 0.0)


async def test_an_order_that_is_refused_meanwhile_does_not_keep_the_story_silent(
    bench: Bench,
) -> None:
    await bench.point.put("d")
    async with bench.teller.hold():
        for wanted in ("狮子王", "next"):
            with pytest.raises(RefusedError):
                await bench.point.put(wanted)
    assert is_paused(bench) is False


async def test_a_paused_story_stays_paused(bench: Bench) -> None:
    await bench.point.put("a")
    await bench.teller.pause()
    async with bench.teller.hold():
        pass
    assert is_paused(bench) is True
    assert bench.teller.state is State.PAUSED


async def test_what_loads_when_it_is_held_does_not_sound_before_the_end_of_that(
    bench: Bench,
) -> None:
    bench.player.loading = asyncio.Event()
    order = asyncio.create_task(bench.point.put("a"))
    while not bench.player.played:
        await asyncio.sleep(0)
    async with bench.teller.hold():
        bench.player.loading.set()
        await order
        assert is_paused(bench) is True
    assert is_paused(bench) is False


async def test_holds_overlap(bench: Bench) -> None:
    await bench.point.put("a")
    async with bench.teller.hold():
        async with bench.teller.hold():
            pass
        assert is_paused(bench) is True
    assert is_paused(bench) is False


async def test_a_story_ordered_in_one_hold_and_paused_by_another_goes_on(bench: Bench) -> None:
    await bench.point.put("a")
    async with contextlib.AsyncExitStack() as first, contextlib.AsyncExitStack() as second:
        await first.enter_async_context(bench.teller.hold())
        await bench.point.put("b")
        await second.enter_async_context(bench.teller.hold())
        assert is_paused(bench) is True
        await second.aclose()
        assert bench.teller.state is State.WAITING
        await first.aclose()
        assert is_paused(bench) is False


async def test_nothing_is_held_when_nothing_plays(bench: Bench) -> None:
    async with bench.teller.hold():
        assert bench.teller.state is State.IDLE
    assert bench.player.paused is None


async def test_a_fade_ends_the_story_and_tells_so(bench: Bench) -> None:
    await bench.point.put("a")
    assert await bench.teller.fade_out(20.0)
    assert bench.player.fades == [(SILENT_DB, 20.0)]
    assert await bench.change() == ""
    assert bench.teller.state is State.IDLE


@pytest.mark.parametrize(("order", "undone"), [("pause", True), ("c", False)])
async def test_an_order_within_a_fade_keeps_the_story(
    bench: Bench, order: str, *, undone: bool
) -> None:
    """A new story begins at its own loudness; the one that goes on is as loud as before."""
    await bench.point.put("a")
    ended = asyncio.Event()

    async def fade(to_db: float, seconds: float) -> bool:
        bench.player.fades.append((to_db, seconds))
        if to_db == SILENT_DB:
            await ended.wait()
        return to_db != SILENT_DB

    bench.player.fade = fade  # type: ignore[method-assign]
    fading = asyncio.create_task(bench.teller.fade_out(20.0))
    while not bench.player.fades:
        await asyncio.sleep(0)
    await bench.point.put(order)
    ended.set()
    assert not await fading
    assert await bench.point.get()
    assert (bench.player.fades[-1][0] == 0.0) is undone


async def test_an_order_that_comes_as_the_fade_ends_is_done(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.loading = asyncio.Event()
    order = asyncio.create_task(bench.point.put("c"))
    while len(bench.player.played) < 2:
        await asyncio.sleep(0)
    assert not await bench.teller.fade_out(1.0)
    bench.player.loading.set()
    await order
    assert await bench.point.get() == "c"


async def test_listeners_hear_what_happens_in_order(bench: Bench) -> None:
    a, b = (bench.library.find(title).current for title in "ab")
    assert a
    assert b
    await bench.point.put("a")
    await bench.point.put("pause")
    await bench.point.put("resume")
    bench.player.on_end(None)
    await bench.change()
    bench.player.on_end("the file is damaged")
    await bench.change()
    await bench.point.put("stop")
    with pytest.raises(RefusedError):
        await bench.point.put("狮子王")
    refused = bench.events.pop()
    assert isinstance(refused, Refused)
    assert refused.kind is Kind.NOT_FOUND
    assert [type(event) for event in bench.events] == [
        Started, Paused, Resumed, Ended, Started, Ended, Started, Ended, Stopped,
    ]  # fmt: skip
    assert bench.events[3:6] == [
        Ended(a, finished=True), Started(b), Ended(b, finished=False, reason="the file is damaged"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "kind"),
    [("狮子王", Kind.NOT_FOUND), ("next", Kind.NOTHING), ("c", Kind.BROKEN_OFF), ("http://h/offline.mp3", Kind.NO_NETWORK)],
)  # fmt: skip
async def test_a_refusal_has_a_kind(bench: Bench, order: str, kind: Kind) -> None:
    bench.player.broken = {"c"}
    with pytest.raises((RefusedError, UnavailableError)) as caught:
        await bench.point.put(order)
    assert bench.events == [Refused(kind, str(caught.value))]


class Locked:
    """Refuses everything that would sound."""

    def __init__(self) -> None:
        self.asked: list[Order] = []

    def check(self, order: Order) -> None:
        self.asked.append(order)
        raise RefusedOrderError(Kind.NOT_ALLOWED, "play: it is time to sleep")


async def test_a_gate_keeps_what_plays_and_refuses_what_would_sound(bench: Bench) -> None:
    await bench.point.put("a")
    gate = Locked()
    bench.teller.gates.append(gate)
    for wanted in ("b", "next", "resume"):
        with pytest.raises(RefusedError, match="time to sleep"):
            await bench.point.put(wanted)
    assert await bench.point.get() == "a"
    assert bench.player.played == ["a"]
    await bench.point.put("pause")
    await bench.point.put("stop")
    assert await bench.point.get() == ""
    assert len(gate.asked) == 3
    assert gate.asked[1] is Command.NEXT


class LastStory:
    """Lets nothing follow."""

    def goes_on(self, ended: Ended) -> bool:
        return not ended.finished


async def test_a_story_may_be_the_last_one(bench: Bench) -> None:
    bench.teller.at_end.append(LastStory())
    await bench.point.put("a")
    bench.player.on_end(None)
    assert await bench.change() == ""
    assert bench.player.played == ["a"]
    assert bench.events[-1] == Stopped()


async def test_a_snapshot_tells_what_plays(bench: Bench) -> None:
    assert (await bench.teller.snapshot()).state is State.IDLE
    await bench.point.put("b")
    bench.player.at, bench.player.duration = 12.5, 60.0
    shot = await bench.teller.snapshot()
    assert (shot.state, shot.title, shot.key) == (State.PLAYING, "b", "b.mp3")
    assert (shot.position, shot.length, shot.index, shot.count) == (12.5, 60.0, 1, 4)
    assert shot.titles == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    bench.player.loading = asyncio.Event()
    order = asyncio.create_task(bench.point.put("c"))
    while len(bench.player.played) < 2:
        await asyncio.sleep(0)
    loading = await bench.teller.snapshot()
    assert (loading.state, loading.title) == (State.LOADING, "c")
    bench.player.loading.set()
    await order


async def test_a_story_without_a_sound_device_waits(bench: Bench) -> None:
    await bench.point.put("b")
    bench.player.waiting = True
    assert (await bench.teller.snapshot()).state is State.WAITING
    await bench.point.put("pause")
    assert bench.teller.state is State.PAUSED


async def test_a_pause_while_a_slow_source_loads_does_not_wait_and_is_kept(bench: Bench) -> None:
    bench.player.loading = asyncio.Event()
    order = asyncio.create_task(bench.point.put("a"))
    while not bench.player.played:
        await asyncio.sleep(0)
    await asyncio.wait_for(bench.point.put("pause"), DEADLINE)
    bench.player.loading.set()
    await order
    assert bench.teller.state is State.PAUSED


async def test_next_while_a_slow_source_loads_gives_that_up(bench: Bench) -> None:
    bench.player.loading = asyncio.Event()
    order = asyncio.create_task(bench.point.put("b"))
    while not bench.player.played:
        await asyncio.sleep(0)
    following = asyncio.create_task(bench.point.put("next"))
    with pytest.raises(UnavailableError, match="given up"):
        await asyncio.wait_for(order, DEADLINE)
    bench.player.loading.set()
    await following
    assert await bench.point.get() == "c"


async def test_next_after_the_last_one_leaves_what_loads(bench: Bench) -> None:
    bench.player.loading = asyncio.Event()
    order = asyncio.create_task(bench.point.put("d"))
    while not bench.player.played:
        await asyncio.sleep(0)
    with pytest.raises(RefusedError, match="no next track"):
        await bench.point.put("next")
    bench.player.loading.set()
    await order
    assert await bench.point.get() == "d"


class SlowOpener:
    """Needs long for what it finds on a network."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()

    async def open(self, text: str) -> Queue | None:
        if "://" not in text:
            return None
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError

    async def run(self) -> None:
        return

    async def close(self) -> None:
        return


@pytest.mark.parametrize("newer", ["a", "stop"])
async def test_a_newer_order_ends_the_search_for_an_older_one(bench: Bench, newer: str) -> None:
    slow = SlowOpener()
    bench.teller._targets.finder.openers = [slow, bench.library]
    order = asyncio.create_task(bench.point.put("http://h/feed.xml"))
    await slow.asked.wait()
    await bench.point.put(newer)
    with pytest.raises(UnavailableError, match="given up"):
        await asyncio.wait_for(order, DEADLINE)
    assert slow.ended.is_set()
    assert bench.player.played in (["a"], ["(stop)"])


async def test_what_nobody_opens_is_refused_by_name() -> None:
    async def ignore(_title: str) -> None:
        return

    teller = Teller(ScriptedPlayer(), [], ignore)
    with pytest.raises(RefusedError, match='got "x", which is no title'):
        await teller.order("x")


async def test_the_deck_asks_for_source_and_gain(bench: Bench) -> None:
    async def source_for(track: Track) -> str:
        return f"http://127.0.0.1:1/{track.title}.mp3"

    async def gain_for(_track: Track) -> float:
        return -3.5

    deck: Deck = bench.teller.deck
    deck.source_for, deck.gain_for = source_for, gain_for
    await bench.point.put("http://h/story.mp3")
    await bench.point.put("a")  # a file needs no relay
    assert bench.player.played[-1] == "a"
    assert bench.player.gains == [-3.5, -3.5]


async def test_a_track_that_ends_while_its_place_is_asked_for_is_noted_as_finished_once() -> None:
    """Else its end is forgotten, or there is nothing left to note and the close of the player fails."""
    noted: list[bool] = []

    class Memory(Positions):
        def note(self, track: Track, at: float, length: float | None, *, finished: bool) -> None:  # noqa: ARG002  # as it is
            noted.append(finished)

    class Ending(ScriptedPlayer):
        async def position(self) -> float | None:
            await deck.end(finished=True)
            return 3.0

    deck = Deck(Ending(), Memory(None))
    deck._track = Track("a", "/a.wav", "a.wav")
    await deck.note()
    assert noted == [True]
