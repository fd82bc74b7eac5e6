"""The opener that the teller knows: nothing of the web is loaded before it is needed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import resources.online.cache
import resources.online.opener
from base.clock import TrustedTime
from resources.online.cache import Cache, key_of
from resources.online.opener import OnlineSettings, WebOpener
from resources.online.policy import parse_target
from resources.playing.queue import Track
from tests.resources.online.parts import SOUND, Page, Site, fetch, until


def make(folder: Path) -> WebOpener:
    return WebOpener(OnlineSettings(folder, ["127.0.0.0/8"], 10**6), TrustedTime())


def kept(folder: Path) -> int:
    return len(list(folder.glob("*.story")))


@asynccontextmanager
async def running(opener: WebOpener) -> AsyncIterator[WebOpener]:
    task = asyncio.create_task(opener.run())
    try:
        yield opener
    finally:
        task.cancel()
        await opener.close()


@pytest.mark.parametrize("text", ["小兔子乖乖", "http", "file:///etc/passwd", "ftp://h/", " ", ""])
async def test_what_is_no_url_is_another_openers(tmp_path: Path, text: str) -> None:
    opener = make(tmp_path)
    assert await opener.open(text) is None
    await opener.close()


async def test_a_url_in_capitals_is_opened_and_served(tmp_path: Path) -> None:
    async with Site(a_mp3=Page()).serve() as site:
        opener = make(tmp_path)
        url = site.url("/a.mp3", scheme="HTTP")
        queue = await opener.open(url)
        assert queue is not None
        track = queue.tracks[0]
        assert (track.title, track.source) == (url, site.url("/a.mp3"))
        assert (await fetch(await opener.source_for(track))).body == SOUND
        await opener.close()


async def test_what_is_pinned_is_fetched_in_this_run_and_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.online.opener, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(resources.online.opener, "AGAIN_SECONDS", 0.05)
    page = Page(cuts=[10**9, -1, -1, -1])  # it answers when it is pinned, then not for a while
    async with Site(a_mp3=page, b_mp3=Page()).serve() as site:
        async with running(make(tmp_path)) as opener:
            await opener.keep(site.url("/a.mp3"), pinned=True)
            await until(lambda: kept(tmp_path) == 1)
        async with running(make(tmp_path)) as opener:
            await opener.keep(site.url("/b.mp3"), pinned=True)
            await until(lambda: kept(tmp_path) == 2)
        for path in list(tmp_path.glob("*.story"))[:1]:  # noqa: ASYNC240  # a few files
            path.unlink()
        async with running(make(tmp_path)):
            await until(lambda: kept(tmp_path) == 2)


async def test_a_pinned_story_that_is_left_out_later_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.online.opener, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(resources.online.opener, "AGAIN_SECONDS", 0.05)

    async with Site(a_mp3=Page()).serve() as site, running(make(tmp_path)) as opener:
        url = site.url("/a.mp3")

        def is_left_out() -> (
            bool
        ):  # as when its server has a longer one, and there is no room for both
            cache = opener._online()._cache
            with cache._lock:
                cache._remove(key_of(parse_target(url)))
            return kept(tmp_path) == 0

        await opener.keep(url, pinned=True)
        await until(lambda: kept(tmp_path) == 1)
        await until(is_left_out)
        await until(lambda: kept(tmp_path) == 1)


async def test_where_nothing_is_pinned_any_more_nobody_looks_until_something_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.online.opener, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(resources.online.opener, "AGAIN_SECONDS", 0.001)
    looked = asyncio.Event()
    looks = []

    async def look(*, is_silent: bool) -> bool:
        assert not is_silent
        looks.append(1)
        looked.set()
        return await fetch_pinned()

    async with Site(a_mp3=Page()).serve() as site, running(make(tmp_path)) as opener:
        await opener.keep(site.url("/a.mp3"), pinned=False)
        fetch_pinned = opener._online().fetch_pinned
        monkeypatch.setattr(opener._online(), "fetch_pinned", look)
        await looked.wait()
        for _ in range(50):  # each would be time for a look
            await asyncio.sleep(0.001)
        assert looks == [1]
        await opener.keep(site.url("/a.mp3"), pinned=True)
        await until(lambda: kept(tmp_path) == 1)


async def test_a_machine_that_keeps_nothing_loads_nothing(tmp_path: Path) -> None:
    opener = make(tmp_path / "stories")
    running = asyncio.create_task(opener.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert opener._made is None
    assert not running.done()
    running.cancel()
    await opener.close()
    assert resources.online.opener.PINS == resources.online.cache.PINS


async def test_a_track_of_yesterday_is_opened_again(tmp_path: Path) -> None:
    async with Site(a_mp3=Page()).serve() as site:
        opener = make(tmp_path)
        source = await opener.source_for(Track("a", site.url("/a.mp3")))
        assert (await fetch(source)).body == SOUND
        await opener.close()


def test_the_agents_start_imports_none_of_it() -> None:
    code = (
        "import agent.points, sys;"
        "print(sorted(n for n in sys.modules if n in ('h11', 'resources.online.online', 'wire.playlist')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("how", ["look", "read"])
async def test_a_folder_that_cannot_be_read_ends_nothing(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its task is one of the agent's: what it raises would end the agent."""
    monkeypatch.setattr(resources.online.opener, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(resources.online.opener, "AGAIN_SECONDS", 0.01)

    def denied(*_: object) -> bool:
        raise PermissionError(13, "Permission denied")

    if how == "look":
        monkeypatch.setattr(Path, "is_file", denied)
    else:
        (tmp_path / "pins.json").write_text("{}")
    monkeypatch.setattr(Cache, "_load", denied)
    async with running(make(tmp_path)):
        await until(lambda: caplog.text.count("what is pinned cannot be fetched") > 1)
