"""Stories from the web on real parts: mpv hears the relay, and what `play` says is what sounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import resources.online.relay
from base.clock import TrustedTime
from machine.errors import RefusedError
from machine.player import MpvPlayer, find_player
from resources.online.opener import OnlineSettings, WebOpener
from resources.online.policy import NOT_REACHED
from resources.playing.events import Ended, Event
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.titles.library import Library
from tests.authority import Authority
from tests.conftest import write_tone
from tests.machine.parts import PulseServer, until_position
from tests.resources.online.parts import ALLOWED, DEADLINE, NOT_ALLOWED, Page, Site, until

LOW, HIGH = 440.0, 880.0


@dataclass
class Rig:
    """A teller on mpv and a sound server of its own."""

    point: PlayPoint
    player: MpvPlayer
    server: PulseServer
    titles: asyncio.Queue[str]
    events: list[Event]

    async def title(self) -> str:
        async with asyncio.timeout(DEADLINE):
            return await self.titles.get()


def tone(folder: Path, hertz: float, seconds: float, *, rate: int = 8000) -> Page:
    path = folder / f"{hertz}-{seconds}.wav"
    write_tone(path, seconds=seconds, hertz=hertz, rate=rate)
    return Page(path.read_bytes(), kind="audio/wav")


@asynccontextmanager
async def rigged(
    folder: Path, server: PulseServer, ca_file: Path | None = None
) -> AsyncIterator[Rig]:
    settings = OnlineSettings(folder / "stories", ALLOWED, 10**9, ca_file=ca_file)
    web = WebOpener(settings, TrustedTime())
    titles: asyncio.Queue[str] = asyncio.Queue()
    player = find_player()
    assert isinstance(player, MpvPlayer)
    teller = Teller(player, [web, Library(folder / "media")], titles.put)
    teller.deck.source_for, teller.deck.why_cut = web.source_for, web.why_cut
    events: list[Event] = []
    teller.subscribe(events.append)
    point = PlayPoint(teller)
    try:
        yield Rig(point, player, server, titles, events)
    finally:
        await point.close()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    made = PulseServer(tmp_path / "pulse")
    made.folder.mkdir()
    monkeypatch.setenv("PULSE_SERVER", made.address)
    made.start()
    yield made
    made.kill()


def m3u(*lines: str) -> Page:
    return Page("\n".join(["#EXTM3U", *lines, ""]).encode(), kind="audio/x-mpegurl")


async def test_a_list_of_two_sounds_as_play_says(tmp_path: Path, server: PulseServer) -> None:
    pages = {"a_wav": tone(tmp_path, LOW, 1.5), "b_wav": tone(tmp_path, HIGH, 60.0)}
    listing = m3u("#EXTINF:1,Low", "a.wav", "#EXTINF:60,High", "b.wav")
    async with (
        Site(l=listing, **pages).serve() as site,
        rigged(tmp_path, server) as rig,
        server.ear() as ear,
    ):
        await rig.point.put(site.url("/l"))
        assert await rig.point.get() == "Low"
        assert await ear.tone(LOW, HIGH) == LOW
        assert await rig.title() == "High"
        await ear.until_tone(HIGH, not_any_more=LOW)
        assert await rig.point.get() == "High"
        await rig.point.put("pause")
        await ear.silence()
        await rig.point.put("previous")
        assert await rig.point.get() == "Low"
        await rig.point.put("stop")
        await ear.silence()
        assert await rig.point.get() == ""
        assert site.firsts("/a.wav") == site.firsts("/b.wav")[:1] == [0]


async def test_a_first_entry_that_is_missing_is_passed_over_and_told(
    tmp_path: Path, server: PulseServer
) -> None:
    listing = m3u("#EXTINF:1,Gone", "gone.mp3", "b.wav")
    async with (
        Site(l=listing, b_wav=tone(tmp_path, HIGH, 60.0)).serve() as site,
        rigged(tmp_path, server) as rig,
        server.ear() as ear,
    ):
        await rig.point.put(site.url("/l"))
        assert await rig.point.get() == "b"
        assert await ear.tone(LOW, HIGH) == HIGH
        assert [line.partition(":")[0] for line in rig.point.teller.skipped] == ["Gone"]


async def test_a_list_of_20000_missing_entries_is_given_up_after_a_few(
    tmp_path: Path, server: PulseServer
) -> None:
    listing = m3u(*(f"{number}.mp3" for number in range(20_000)))
    async with Site(l=listing).serve() as site, rigged(tmp_path, server) as rig:
        with pytest.raises(RefusedError, match="none of 20 titles"):
            await rig.point.put(site.url("/l"))
        asked = len(site.asked)
        assert asked <= 21
        assert await rig.point.get() == ""
        await rig.point.put("stop")
        assert len(site.asked) == asked


async def test_a_stream_that_is_cut_goes_on_without_a_gap(
    tmp_path: Path, server: PulseServer
) -> None:
    page = tone(tmp_path, LOW, 6.0)
    page.cuts = [len(page.body) // 8]
    async with Site(a_wav=page).serve() as site, rigged(tmp_path, server) as rig:
        await rig.point.put(site.url("/a.wav"))
        assert await rig.title() == ""
        assert site.firsts("/a.wav") == [0, len(page.body) // 8]
        ended = [event for event in rig.events if isinstance(event, Ended)]
        assert [event.finished for event in ended] == [True]


async def test_a_stream_whose_server_dies_is_told_as_broken_off(
    tmp_path: Path, server: PulseServer
) -> None:
    page = tone(tmp_path, LOW, 6.0, rate=48000)
    page.cuts = [len(page.body) // 2, *[-1] * 100]
    async with Site(a_wav=page).serve() as site, rigged(tmp_path, server) as rig:
        await rig.point.put(site.url("/a.wav"))
        assert await rig.title() == ""
        (ended,) = [event for event in rig.events if isinstance(event, Ended)]
        assert not ended.finished
        assert ended.reason is not None
        assert "of 6.0 s" in ended.reason


async def test_a_story_without_a_length_that_breaks_off_is_told_as_that(
    tmp_path: Path, server: PulseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.online.relay, "HOLD_SECONDS", 0.0)
    page = tone(tmp_path, LOW, 2.0)
    page.framing, page.ranges, page.cuts = "chunked", False, [len(page.body) // 2, *[-1] * 100]
    async with Site(a_wav=page).serve() as site, rigged(tmp_path, server) as rig:
        await rig.point.put(site.url("/a.wav"))
        assert await rig.title() == ""
        (ended,) = [event for event in rig.events if isinstance(event, Ended)]
        assert (ended.finished, ended.reason) == (
            False,
            "play: the server answers 503, expected a story",
        )


async def test_a_story_that_was_heard_plays_from_the_disk(
    tmp_path: Path, server: PulseServer
) -> None:
    async with rigged(tmp_path, server) as rig, server.ear() as ear:
        async with Site(a_wav=tone(tmp_path, LOW, 2.0)).serve() as site:
            await rig.point.put(site.url("/a.wav"))
            assert await rig.title() == ""
        await ear.silence()
        await rig.point.put(site.url("/a.wav"))
        assert await ear.tone(LOW, HIGH) == LOW


async def test_the_middle_of_a_story_without_ranges(tmp_path: Path, server: PulseServer) -> None:
    page = tone(tmp_path, LOW, 120.0)
    page.ranges = False
    async with Site(a_wav=page).serve() as site, rigged(tmp_path, server) as rig:
        await rig.point.put(site.url("/a.wav"))
        await rig.player.seek(100.0)
        assert await until_position(rig.player, 100.2) < 110


@pytest.mark.parametrize("host", [NOT_ALLOWED, "::1"])
async def test_a_redirect_into_the_familys_network_is_not_followed(
    tmp_path: Path, server: PulseServer, host: str
) -> None:
    async with (
        Site(a_wav=tone(tmp_path, LOW, 1.0)).serve(host) as inner,
        Site(b_wav=tone(tmp_path, LOW, 1.0)).serve() as site,
        rigged(tmp_path, server) as rig,
    ):
        site.pages["/r"] = Page(status="302 Found", location=inner.url("/a.wav"), body=b"")
        for url in (site.url("/r"), inner.url("/a.wav"), inner.url("/closed").replace(":1", ":2")):
            with pytest.raises(RefusedError, match=NOT_REACHED):
                await rig.point.put(url)
        assert inner.connections == 0


async def test_a_story_over_https_is_heard(tmp_path: Path, server: PulseServer) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.pem)
    async with (
        Site(a_wav=tone(tmp_path, HIGH, 60.0)).serve(tls=authority.server_context()) as site,
        rigged(tmp_path, server, tmp_path / "ca.pem") as rig,
        server.ear() as ear,
    ):
        await rig.point.put(site.url("/a.wav", scheme="https"))
        assert await ear.tone(LOW, HIGH) == HIGH


async def test_a_stop_gives_a_silent_server_up_at_once(tmp_path: Path, server: PulseServer) -> None:
    gone = asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        gone.set()
        writer.close()

    asked = asyncio.Event()
    async with (
        await asyncio.start_server(keep_silent, "127.0.0.1", 0) as silent,
        rigged(tmp_path, server) as rig,
        asyncio.timeout(DEADLINE),
    ):
        url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/a.mp3"
        order = asyncio.create_task(rig.point.put(url))
        await asked.wait()
        await rig.point.put("stop")
        await asyncio.wait([order])
        assert order.exception() is not None
        await until(gone.is_set)
