"""What the player is answered: ranges, errors, and nothing to those who do not know the address."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

import resources.online.relay
import resources.online.story
from base.backoff import Backoff
from resources.online.policy import parse_target
from resources.online.relay import Relay
from resources.online.stores import InMemory
from resources.online.story import Story
from tests.resources.online.parts import DEADLINE, SOUND, Page, Site, fetch, make_upstream, until

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STORIES_LIMIT = 4


@asynccontextmanager
async def relay() -> AsyncIterator[Relay]:
    made = Relay()
    try:
        yield made
    finally:
        await made.close()


async def story(site: Site, path: str = "/a") -> Story:
    upstream, target = make_upstream(), parse_target(site.url(path))
    response = await upstream.open(target)
    response.close()
    return Story(target, upstream, response.facts, InMemory())


async def test_a_whole_story_and_its_parts() -> None:
    async with Site(a=Page()).serve() as site, relay() as served:
        url = await served.serve("key", await story(site))
        assert url.startswith("http://127.0.0.1:")
        got = await fetch(url)
        assert (got.status, got.body) == (200, SOUND)
        assert got.headers["content-length"] == str(len(SOUND))
        assert got.headers["content-type"] == "audio/mpeg"
        got = await fetch(url, first=1000)
        assert (got.status, got.body) == (206, SOUND[1000:])
        assert got.headers["content-range"] == f"bytes 1000-{len(SOUND) - 1}/{len(SOUND)}"
        assert (await fetch(url, first=len(SOUND))).status == 416


async def test_ranges_of_a_server_that_has_none() -> None:
    async with Site(a=Page(ranges=False)).serve() as site, relay() as served:
        got = await fetch(await served.serve("key", await story(site)), first=len(SOUND) - 5)
        assert (got.status, got.body) == (206, SOUND[-5:])


async def test_a_stream_without_end_has_no_ranges() -> None:
    page = Page(ranges=False, framing="close", etag="")
    async with Site(a=page).serve() as site, relay() as served:
        got = await fetch(await served.serve("key", await story(site)), first=0)
        assert got.status == 200
        assert "accept-ranges" not in got.headers
        assert "content-length" not in got.headers
        assert got.body == SOUND


@pytest.mark.parametrize("path", ["/", "/wrong", "/../{name}", "/{name}/x"])
async def test_nobody_guesses_an_address(path: str) -> None:
    async with Site(a=Page()).serve() as site, relay() as served:
        url = await served.serve("key", await story(site))
        base, _, name = url.rpartition("/")
        assert len(name) >= 20
        assert (await fetch(base + path.format(name=name))).status == 404


@pytest.mark.parametrize(
    "request_bytes",
    [b"POST /x HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 40 + b"\r\n\r\n"],
)
async def test_what_is_no_request_is_answered_404(request_bytes: bytes) -> None:
    async with Site(a=Page()).serve() as site, relay() as served:
        url = await served.serve("key", await story(site))
        port = int(url.split(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes)
        async with asyncio.timeout(DEADLINE):
            assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()


@pytest.mark.parametrize("request_bytes", [b"x" * 40_000, b"GET /"])
async def test_a_request_without_end_is_not_waited_for(
    request_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.online.relay, "HEAD_SECONDS", 0.05)
    async with Site(a=Page()).serve() as site, relay() as served:
        url = await served.serve("key", await story(site))
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(url.split(":")[2].partition("/")[0])
        )
        writer.write(request_bytes)
        async with asyncio.timeout(DEADLINE):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_story_that_cannot_be_fetched_is_an_error_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources.online.story, "BACK_OFF", (0.0,))
    async with Site(a=Page()).serve() as site, relay() as served:
        url = await served.serve("key", await story(site))
        site.pages.clear()
        assert (await fetch(url)).status == 502


async def test_a_story_that_breaks_off_ends_early_and_is_no_whole_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources.online.story, "BACK_OFF", (0.0,))
    async with Site(a=Page(cuts=[0, 9000, -1, -1, -1])).serve() as site, relay() as served:
        got = await fetch(await served.serve("key", await story(site)))
        assert got.headers["content-length"] == str(len(SOUND))
        assert got.body == SOUND[:9000]


async def test_a_network_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.online.story, "BACK_OFF", ())
    monkeypatch.setattr(resources.online.relay, "HOLD_PAUSE_SECONDS", 0.0)
    cuts = [0, *[5000] * 6]
    async with Site(a=Page(cuts=cuts)).serve() as site, relay() as served:
        assert (await fetch(await served.serve("key", await story(site)))).body == SOUND
        assert len(site.firsts("/a")) == len(cuts) + 1


async def test_a_network_that_stays_away_is_asked_for_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(resources.online.story, "BACK_OFF", ())
    monkeypatch.setattr(resources.online.relay, "Backoff", functools.partial(Backoff, jitter=0.0))
    async with Site(a=Page(cuts=[0, 5000, *[0] * 5])).serve() as site, relay() as served:
        url = await served.serve("key", await story(site))
        monkeypatch.setattr(asyncio, "sleep", note)
        assert (await fetch(url)).body == SOUND
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


async def test_a_network_that_stays_away_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources.online.story, "BACK_OFF", ())
    monkeypatch.setattr(resources.online.relay, "HOLD_SECONDS", 0.0)
    async with Site(a=Page(cuts=[0, 5000, 0])).serve() as site, relay() as served:
        assert (await fetch(await served.serve("key", await story(site)))).body == SOUND[:5000]


async def test_a_player_that_has_gone_lets_the_story_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.online.story, "LINGER_SECONDS", 0.0)
    async with Site(a=Page(held=20_000)).serve() as site, relay() as served:
        playing = await story(site)
        url = await served.serve("key", playing)
        assert (await fetch(url, upto=1000)).body == SOUND[:1000]
        await until(lambda: playing._readers == 0 and playing._task is None)


async def test_a_story_that_no_player_asks_for_is_not_fetched_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resources.online.relay, "UNREAD_SECONDS", 0.0)
    async with Site(a=Page(held=20_000)).serve() as site, relay() as served:
        upstream, target = make_upstream(), parse_target(site.url("/a"))
        response = await upstream.open(target)
        made = Story(target, upstream, response.facts, InMemory(), (response, 0))
        url = await served.serve("key", made)
        await until(lambda: made._pending is None)
        site.pages["/a"].held = None
        assert (await fetch(url)).body == SOUND


async def test_old_stories_are_let_go_and_the_same_one_is_found() -> None:
    async with Site(a=Page()).serve() as site, relay() as served:
        urls = [await served.serve(f"key{n}", await story(site)) for n in range(STORIES_LIMIT)]
        found = served.find("key0")
        assert found is not None
        assert found[0] == urls[0]
        urls.append(await served.serve("more", await story(site)))
        assert [(await fetch(url, upto=0)).status for url in urls] == [200, 404, 200, 200, 200]
        assert served.find("key1") is None
        await served.forget("key0")
        assert served.find("key0") is None
