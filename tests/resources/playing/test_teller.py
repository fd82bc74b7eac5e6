"""The teller and its `resources.playing.programme` with a scripted player: faults, ends, orders at once.

Tests resources.playing.skips too.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import resources.dispatch
import resources.titles.library
from machine.errors import RefusedError, UnavailableError
from machine.player import MpvPlayer
from resources.dispatch import Dispatch
from resources.playing.queue import Queue
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.titles.library import Library
from tests.resources.parts import DEADLINE, Bench, PlainWeb, descriptors, make_sounds
from wire.codes import Code

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SKIP_LIMIT = 20
PLAY_LIMIT = 4_096


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "media", "a", "b", "c", "d")


async def test_the_queue_goes_on_to_its_end_and_reports_each_title(bench: Bench) -> None:
    await bench.point.put("b")
    for title in ("c", "d", ""):
        bench.player.on_end(None)
        assert await bench.change() == title
        assert await bench.point.get() == title
    assert bench.player.played == ["b", "c", "d"]
    assert not bench.teller.playing


async def test_a_track_that_breaks_off_is_said_and_the_next_one_plays(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.point.put("a")
    bench.player.on_end("the file is damaged")
    assert await bench.change() == "b"
    assert "broke off: the file is damaged" in caplog.text
    assert "title='a'" in caplog.text


async def test_broken_tracks_are_passed_over(bench: Bench) -> None:
    bench.player.broken = {"b", "c"}
    await bench.point.put("a")
    bench.player.on_end(None)
    assert await bench.change() == "d"
    assert bench.changes.empty()


async def test_a_folder_of_nothing_but_broken_tracks_ends(bench: Bench) -> None:
    bench.player.broken = {"b", "c", "d"}
    await bench.point.put("a")
    bench.player.on_end(None)
    assert await bench.change() == ""
    assert bench.player.played == ["a", "b", "c", "d"]
    with pytest.raises(RefusedError, match="nothing is playing"):
        await bench.point.put("next")


async def test_a_long_run_of_broken_tracks_does_not_hold_up_an_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "media", *(f"{number:03}" for number in range(200)))
    bench.player.broken = {f"{number:03}" for number in range(1, 199)}
    await bench.point.put("000")
    bench.player.on_end(None)
    while len(bench.player.played) < 5:
        await asyncio.sleep(0)
    await bench.point.put("停止")
    assert await bench.point.get() == ""
    assert len(bench.player.played) < 20
    assert bench.player.played[-1] == "(stop)"


async def test_an_end_that_crosses_a_new_order_does_not_skip_what_was_ordered(
    bench: Bench,
) -> None:
    await bench.point.put("a")
    first_end, bench.player.loading = bench.player.on_end, asyncio.Event()
    order = asyncio.create_task(bench.point.put("c"))
    while len(bench.player.played) < 2:
        await asyncio.sleep(0)
    first_end(None)
    bench.player.loading.set()
    await order
    for _ in range(10):
        await asyncio.sleep(0)
    assert await bench.point.get() == "c"
    assert bench.player.played == ["a", "c"]
    assert bench.changes.empty()


async def test_an_end_that_crosses_a_stop_stays_stopped(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.on_end(None)
    await bench.point.put("stop")
    for _ in range(10):
        await asyncio.sleep(0)
    assert await bench.point.get() == ""
    assert bench.player.played[-1] == "(stop)"


async def test_of_two_orders_at_once_the_later_one_plays(bench: Bench) -> None:
    bench.player.loading = asyncio.Event()
    first = asyncio.create_task(bench.point.put("a"))
    while not bench.player.played:
        await asyncio.sleep(0)
    second = asyncio.create_task(bench.point.put("c"))
    with pytest.raises(UnavailableError, match="given up"):
        await first
    bench.player.loading.set()
    await second
    assert bench.player.played == ["a", "(stop)", "c"]
    assert await bench.point.get() == "c"


async def test_a_title_that_was_ordered_before_the_next_one_and_is_found_after_it_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, found, look = asyncio.Event(), asyncio.Event(), bench.library.open

    async def slow_open(text: str) -> Queue | None:
        if text == "d":
            asked.set()
            await found.wait()
        return await look(text)

    monkeypatch.setattr(bench.library, "open", slow_open)
    await bench.point.put("a")
    older = asyncio.create_task(bench.point.put("d"))
    await asked.wait()
    await bench.point.put("next")
    found.set()
    with pytest.raises(UnavailableError, match="given up"):
        await older
    assert await bench.point.get() == "b"


async def test_an_order_for_nothing_known_leaves_what_loads(bench: Bench) -> None:
    bench.player.loading = asyncio.Event()
    loading = asyncio.create_task(bench.point.put("a"))
    while not bench.player.played:
        await asyncio.sleep(0)
    with pytest.raises(RefusedError, match="狮子王"):
        await bench.point.put("狮子王")
    bench.player.loading.set()
    await loading
    assert await bench.point.get() == "a"


async def test_what_is_being_loaded_counts_as_playing_also_between_two_tracks(bench: Bench) -> None:
    """An update must not mistake the pause between two chapters for the end of the story."""
    bench.player.loading = asyncio.Event()
    order = asyncio.create_task(bench.point.put("a"))
    await asyncio.sleep(0)
    assert bench.teller.playing
    bench.player.loading.set()
    await order
    bench.player.loading = asyncio.Event()
    bench.player.on_end(None)
    while len(bench.player.played) < 2:
        assert bench.teller.playing
        await asyncio.sleep(0)
    assert bench.teller.playing
    bench.player.loading.set()
    await bench.change()
    assert bench.teller.playing


async def test_a_stop_does_not_wait_for_a_slow_source(bench: Bench) -> None:
    bench.player.loading = asyncio.Event()  # which is never set
    start = asyncio.create_task(bench.point.put("a"))
    while not bench.player.played:
        await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE):
        await bench.point.put("stop")
        with pytest.raises(UnavailableError, match="given up"):
            await start
    assert await bench.point.get() == ""


async def test_a_stop_while_the_next_chapter_loads_ends_the_queue(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.loading = asyncio.Event()
    bench.player.on_end(None)
    while len(bench.player.played) < 2:
        await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE):
        await bench.point.put("stop")
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.player.played[:3] == ["a", "b", "(stop)"]
    assert "c" not in bench.player.played
    assert not bench.teller.playing


async def test_an_order_that_fails_ends_what_played_and_tells_so(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.broken = {"c"}
    with pytest.raises(RefusedError):
        await bench.point.put("c")
    assert await bench.change() == ""
    with pytest.raises(RefusedError):  # nothing plays and nothing changes, so there is no report
        await bench.point.put("c")
    assert bench.changes.empty()


async def test_an_order_for_nothing_known_leaves_what_plays(bench: Bench) -> None:
    await bench.point.put("a")
    for wanted in ("狮子王", "previous"):
        with pytest.raises(RefusedError):
            await bench.point.put(wanted)
    assert await bench.point.get() == "a"
    assert bench.changes.empty()


async def test_close_ends_the_player_and_what_was_about_to_play(bench: Bench) -> None:
    await bench.point.put("a")
    bench.player.loading = asyncio.Event()
    bench.player.on_end(None)
    while len(bench.player.played) < 2:
        await asyncio.sleep(0)
    await bench.point.close()
    assert bench.player.played == ["a", "b", "(close)"]


async def test_blanks_are_no_title(bench: Bench) -> None:
    with pytest.raises(RefusedError, match='got ""'):
        await bench.point.put("   ")
    assert bench.player.played == []


async def test_mpv_that_cannot_be_started_is_5_03(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "media", "a")
    bench.teller.deck.player = MpvPlayer(program=[str(tmp_path / "mpv")])
    answer = await Dispatch([bench.point], _ignore).request("PUT", "play", "a")
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert answer.text == "play: mpv cannot be started: No such file or directory"


async def _ignore(*_: object) -> None:
    return


async def test_what_loads_when_the_asker_gives_up_never_sounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server accepts the connection and sends nothing; real mpv waits for it."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(resources.dispatch, "HANDLER_TIMEOUT", 0.5)
    player = MpvPlayer()
    point = PlayPoint(Teller(player, [PlainWeb(), Library(tmp_path)], _ignore))
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/song.mp3"
        answer = await Dispatch([point], _ignore).request("PUT", "play", url)
        assert answer.code is Code.SERVICE_UNAVAILABLE
        async with asyncio.timeout(DEADLINE):
            # mpv's only entry is the loading one; on a busy machine mpv may not have started yet.
            while player._mpv is not None and await player._mpv.ask("playlist-count"):
                await asyncio.sleep(0.01)
    assert await point.get() == ""
    await point.close()


async def test_an_order_for_a_folder_begins_with_the_first_title_that_plays(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.player.broken = {"a", "b"}
    await bench.point.put("media")
    assert await bench.point.get() == "c"
    assert bench.player.played == ["a", "b", "c"]
    assert bench.teller.skipped == [f"{t}: play: cannot be played: {t}" for t in ("a", "b")]
    assert "play: a is skipped: play: cannot be played: a" in caplog.text
    assert bench.changes.empty()  # the answer to the order tells the title


async def test_an_order_for_a_title_that_cannot_be_played_plays_no_other(bench: Bench) -> None:
    bench.player.broken = {"a"}
    with pytest.raises(RefusedError, match=r"^play: cannot be played: a$"):
        await bench.point.put("a")
    assert bench.player.played == ["a"]
    assert await bench.point.get() == ""


@pytest.mark.parametrize(("order", "start", "end"), [("next", "a", "d"), ("previous", "d", "a")])
async def test_next_and_previous_pass_over_what_cannot_be_played(
    bench: Bench, order: str, start: str, end: str
) -> None:
    bench.player.broken = {"b", "c"}
    await bench.point.put(start)
    await bench.point.put(order)
    assert await bench.point.get() == end
    assert len(bench.teller.skipped) == 2
    await bench.point.put("暂停")
    assert bench.teller.skipped == []


async def test_nothing_that_plays_is_an_error_that_names_what_was_tried(bench: Bench) -> None:
    bench.player.broken = {"a", "b", "c", "d"}
    expected = r"^play: none of 4 titles can be played: a: .*cannot be played: a; b: .*; c: .*; …$"
    with pytest.raises(RefusedError, match=expected):
        await bench.point.put("media")
    assert await bench.point.get() == ""
    assert not bench.teller.playing


async def test_what_an_order_passes_over_is_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "media", *(f"{number:03}" for number in range(200)))
    bench.player.broken = {f"{number:03}" for number in range(199)}
    with pytest.raises(RefusedError, match=f"none of {SKIP_LIMIT} titles"):
        await bench.point.put("media")
    assert len(bench.player.played) == SKIP_LIMIT


async def test_a_server_that_is_away_is_not_passed_over(bench: Bench, tmp_path: Path) -> None:
    """The next title would be as far away, and each try takes seconds."""
    make_sounds(tmp_path / "media" / "x", "1.mp3", "offline.mp3", "z.mp3")
    await bench.point.put("1")
    with pytest.raises(UnavailableError):
        await bench.point.put("next")
    assert bench.player.played == ["1", "offline"]


async def test_a_playlist_under_a_songs_name_never_reaches_the_player(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "media" / "b.mp3").write_text("#EXTM3U\n/etc/hostname\n")
    await bench.point.put("a")
    with pytest.raises(RefusedError, match=r'"b\.mp3" cannot be played: its content is an m3u'):
        await bench.point.put("b")
    assert await bench.point.get() == "a"  # it was not touched, and sounds on
    assert bench.changes.empty()
    await bench.point.put("next")
    assert await bench.point.get() == "c"
    await bench.point.put("a")
    bench.player.on_end(None)
    assert await bench.change() == "c"
    assert "b" not in bench.player.played


@pytest.mark.parametrize(
    "url", ["Http://h/a.mp3", "HTTPS://h/a.mp3", "http://h/" + "x" * (PLAY_LIMIT - 9)]
)
async def test_a_url_of_any_case_and_length_is_played(bench: Bench, url: str) -> None:
    answer = await Dispatch([bench.point], _ignore).request("PUT", "play", url)
    assert answer.code is Code.CHANGED, answer.text
    assert await bench.point.get() == url
    longer = await Dispatch([bench.point], _ignore).request(
        "PUT", "play", url.ljust(PLAY_LIMIT + 1)
    )
    assert longer.code is Code.BAD_REQUEST
    assert f"expected 1 to {PLAY_LIMIT} bytes of printable text" in longer.text


@pytest.mark.parametrize(
    "title", ["a\u3000b", "a\u00a0b", "\U0001f468\u200d\U0001f467", "a\u0308", "\uff21"]
)
async def test_a_title_of_any_text_is_played_and_told(
    bench: Bench, tmp_path: Path, title: str
) -> None:
    make_sounds(tmp_path / "media", f"{title}.mp3")
    dispatch = Dispatch([bench.point], _ignore)
    shown = (await dispatch.request("PUT", "play", title), await dispatch.request("GET", "play"))
    assert [answer.code for answer in shown] == [Code.CHANGED, Code.CONTENT]
    again = await dispatch.request("PUT", "play", shown[1].text)
    assert again.code is Code.CHANGED


async def test_the_media_folder_is_watched_no_longer_after_the_end(bench: Bench) -> None:
    before = descriptors()
    await bench.point.put("a")
    assert descriptors() > before
    await bench.point.close()
    assert descriptors() == before


async def test_the_card_is_read_ahead_of_orders(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resources.titles.library, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(resources.titles.library, "AGAIN_SECONDS", 0.0)
    caplog.set_level("INFO")
    media = bench.library._media
    reading = asyncio.create_task(bench.library.run())
    async with asyncio.timeout(DEADLINE):
        while len(media._index) != 4:
            await asyncio.sleep(0)
        make_sounds(tmp_path / "media", "e.mp3")
        while len(media._index) != 5:
            await asyncio.sleep(0)
        (tmp_path / "media").rename(tmp_path / "old")
        (tmp_path / "media").touch()
        while "the media cannot be read: Not a directory" not in caplog.text:
            await asyncio.sleep(0)
    assert not reading.done()
    reading.cancel()


async def test_a_network_that_is_away_does_not_cost_hundreds_of_requests(bench: Bench) -> None:
    away = [f"http://h/{number}/offline.mp3" for number in range(3 * SKIP_LIMIT)]
    await bench.point.put(json.dumps(["a", *away]))
    bench.player.on_end(None)
    assert await bench.change() == ""
    assert bench.player.played == ["a", *["offline"] * SKIP_LIMIT]
    assert len(bench.teller.skipped) == SKIP_LIMIT
