"""One story being fetched: cuts, jumps, a full disk, another story at the same address."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import resources.online.story
from base.backoff import Backoff
from machine.errors import ResourceError
from resources.online.cache import Cache, Kept
from resources.online.policy import AddressError, parse_target
from resources.online.stores import InMemory, OnDisk, Store
from resources.online.story import ChangedError, Story
from resources.online.upstream import CircleError, CutError, StatusError
from tests.resources.online.parts import DEADLINE, SOUND, Page, Site, make_upstream, until

BIG = bytes(range(256)) * 8000


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources.online.story, "BACK_OFF", (0.0, 0.0, 0.0))


def on_disk(folder: Path, size: int) -> Store:
    kept = Cache(folder, 10**9, free_floor=0).begin("key", size, "", '"1"')
    assert kept is not None
    return OnDisk(kept)


@asynccontextmanager
async def opened(site: Site, path: str, store: Store, **options: Any) -> AsyncIterator[Story]:
    upstream, target = make_upstream(), parse_target(site.url(path))
    facts = (await upstream.open(target)).facts
    site.asked.clear()
    story = Story(target, upstream, facts, store, **options)
    try:
        async with asyncio.timeout(DEADLINE):
            yield story
    finally:
        await story.close()


async def read(story: Story, at: int = 0, upto: int | None = None) -> bytes:
    body = b""
    with story.reading():
        while (upto is None or len(body) < upto) and (data := await story.read(at + len(body))):
            body += data
    return body if upto is None else body[:upto]


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return on_disk(tmp_path / "stories", len(BIG)) if request.param == "disk" else InMemory()


async def test_a_story_is_read_whole_by_one_request(store: Store) -> None:
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        assert await read(story) == BIG
        assert site.firsts("/a") == [0]


async def test_what_is_on_the_disk_is_not_fetched_again(tmp_path: Path) -> None:
    store = on_disk(tmp_path / "stories", len(BIG))
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        await read(story)
        assert await read(story, 1000) == BIG[1000:]
        assert site.firsts("/a") == [0]


async def test_cuts_go_on_by_range(store: Store) -> None:
    page = Page(BIG, cuts=[len(BIG) // 8, 100, -1, 200])
    async with Site(a=page).serve() as site:
        page.cuts.insert(0, len(BIG))  # of the request for the facts
        async with opened(site, "/a", store) as story:
            page.cuts = [len(BIG) // 8, 100, -1, 200]
            assert await read(story) == BIG
            start = len(BIG) // 8
            assert site.firsts("/a") == [0, start, start + 100, start + 100, start + 300]


async def test_a_server_that_brings_a_few_bytes_each_time_is_asked_ever_more_rarely(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try helps, so there is no last one: without pauses it would be asked as fast as it answers."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(resources.online.story, "Backoff", functools.partial(Backoff, jitter=0.0))
    monkeypatch.setattr(asyncio, "sleep", note)
    few, enough = 32 * 1024 - 1, 32 * 1024
    page = Page(BIG)
    async with Site(a=page).serve() as site, opened(site, "/a", store) as story:
        page.cuts = [few, 100, 100, 100, 100, 100, enough, 100]
        assert await read(story) == BIG
    assert waits == [0.3, 0.6, 1.2, 2.4, 4.8, 5.0, 0.0, 0.3]


async def test_a_server_that_sends_round_and_round_is_asked_once(store: Store) -> None:
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        site.pages["/a"] = Page(status="302 Found", location="/a", body=b"", ranges=False)
        with pytest.raises(CircleError):
            await read(story)
        assert site.firsts("/a") == [0]


async def test_cuts_of_a_server_without_ranges_pass_over_what_is_there(store: Store) -> None:
    page = Page(BIG, ranges=False)
    async with Site(a=page).serve() as site, opened(site, "/a", store) as story:
        page.cuts = [len(BIG) // 2]
        assert await read(story) == BIG
        assert len(site.firsts("/a")) == 2


async def test_a_jump_to_the_end_and_back_fetches_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = on_disk(tmp_path / "stories", len(BIG))
    written: list[int] = []
    write = Kept.write

    def note(kept: Kept, at: int, data: bytes) -> None:
        written.append(len(data))
        write(kept, at, data)

    monkeypatch.setattr(Kept, "write", note)
    monkeypatch.setattr(OnDisk, "ahead", 200_000)
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        assert await read(story, 0, 10) == BIG[:10]
        tail = len(BIG) - 100
        assert await read(story, tail) == BIG[tail:]
        assert await read(story) == BIG
        assert sum(written) <= len(BIG) + 64 * 1024  # a piece may reach into what is there
        assert len(site.firsts("/a")) == 3


async def test_a_part_that_is_there_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnDisk, "ahead", 200_000)
    store = on_disk(tmp_path / "stories", len(BIG))
    await store.write(500_000, BIG[500_000:1_500_000], wanted=0)
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        assert await read(story) == BIG
        assert site.firsts("/a") == [0, 1_500_000]


async def test_a_body_that_ends_too_early_is_a_cut(store: Store) -> None:
    page = Page(BIG, framing="chunked", ends_early=True)
    async with Site(a=page).serve() as site, opened(site, "/a", store) as story:
        page.cuts = [700_000, 0, 0, 0, 0]
        story.size = len(BIG)
        with pytest.raises(CutError):
            await read(story)
        assert len(site.firsts("/a")) == 4


async def test_nothing_is_fetched_far_ahead_of_a_reader_that_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnDisk, "ahead", 200_000)
    store = on_disk(tmp_path / "stories", len(BIG))
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        with story.reading():
            await story.read(0)
            await until(lambda: store.run(0) >= 200_000)
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert store.run(0) < 200_000 + 2 * 64 * 1024
            assert await read(story) == BIG


async def test_a_transfer_ends_when_nobody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.online.story, "LINGER_SECONDS", 0.0)
    store = on_disk(tmp_path / "stories", len(BIG))
    async with Site(a=Page(BIG, held=70_000)).serve() as site, opened(site, "/a", store) as story:
        assert await read(story, 0, 10) == BIG[:10]
        await until(lambda: story._task is None)
        site.pages["/a"].held = None
        assert await read(story) == BIG


async def test_the_last_failure_is_the_readers_and_a_new_reader_tries_again(store: Store) -> None:
    page = Page(BIG)
    async with Site(a=page).serve() as site, opened(site, "/a", store) as story:
        page.cuts = [300_000, -1, -1, -1, -1]
        with pytest.raises(StatusError, match="503"):
            await read(story)
        assert await read(story, 300_000) == BIG[300_000:]


async def test_a_story_that_was_taken_away_is_not_asked_for_again(store: Store) -> None:
    page = Page(BIG)
    async with Site(a=page).serve() as site, opened(site, "/a", store) as story:
        page.status = "410 Gone"
        with pytest.raises(StatusError, match="410"):
            await read(story)
        assert len(site.firsts("/a")) == 1


async def test_without_its_server_what_is_there_plays(tmp_path: Path) -> None:
    store = on_disk(tmp_path / "stories", len(BIG))
    async with Site(a=Page(BIG)).serve() as site:
        upstream, target = make_upstream(), parse_target(site.url("/a"))
        facts = (await upstream.open(target)).facts
    await store.write(0, BIG[:5000], wanted=0)
    story = Story(target, upstream, facts, store)
    assert await read(story, 0, 5000) == BIG[:5000]
    with pytest.raises(AddressError):
        await read(story, 5000)
    await story.close()


async def test_another_story_at_the_same_address_is_never_mixed_in(store: Store) -> None:
    page, other = Page(BIG), bytes(reversed(BIG))
    changes: list[None] = []
    async with (
        Site(a=page).serve() as site,
        opened(site, "/a", store, on_change=lambda: changes.append(None)) as story,
    ):
        page.cuts = [700_000, -1, -1, -1, -1]
        with pytest.raises(StatusError):
            await read(story)
        page.body, page.etag, page.cuts = other, '"2"', []
        with pytest.raises(ChangedError):
            await read(story, 700_000)
        # The player asks again, and gets the new one throughout.
        assert await read(story, 1000) == other[1000:]
        assert changes == [None]


@pytest.mark.parametrize("fails", ["write", "read"])
async def test_a_disk_that_fails_costs_the_keeping_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    store = on_disk(tmp_path / "stories", len(BIG))
    calls = []

    def full(kept: Kept, at: int, data: Any) -> Any:
        calls.append(at)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return original(kept, at, data)

    original = getattr(Kept, fails)
    monkeypatch.setattr(Kept, fails, full)
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        assert await read(story) == BIG
        assert isinstance(story._store, InMemory)
    assert not list((tmp_path / "stories").glob("*.story")) or fails == "read"


async def test_a_stream_without_a_size_ends_where_its_server_ends_it() -> None:
    page = Page(BIG, ranges=False, framing="chunked", etag="")
    async with Site(a=page).serve() as site, opened(site, "/a", InMemory()) as story:
        assert story.size is None
        assert await read(story) == BIG
        assert story.size == len(BIG)


async def test_a_radio_that_is_cut_goes_on_where_it_is_now() -> None:
    page = Page(SOUND, ranges=False, framing="chunked", etag="")
    async with Site(a=page).serve() as site, opened(site, "/a", InMemory()) as story:
        page.cuts = [10_000]
        heard = await read(story)
        assert heard == SOUND[:10_000] + SOUND


async def test_a_story_with_a_mark_that_is_cut_goes_on_at_its_place_without_a_length() -> None:
    page = Page(BIG, ranges=False, framing="chunked")
    async with Site(a=page).serve() as site, opened(site, "/a", InMemory()) as story:
        page.cuts = [700_000]
        assert await read(story) == BIG
        assert len(site.firsts("/a")) == 2


@pytest.mark.parametrize("framings", [("length", "chunked"), ("chunked", "length")])
async def test_a_server_that_tells_a_length_once_and_not_again_has_the_same_story(
    tmp_path: Path, framings: tuple[str, str]
) -> None:
    page = Page(BIG, ranges=False, framing=framings[0])
    store = on_disk(tmp_path / "stories", len(BIG)) if framings[0] == "length" else InMemory()
    changes: list[int] = []
    on_change = functools.partial(changes.append, 1)
    async with (
        Site(a=page).serve() as site,
        opened(site, "/a", store, on_change=on_change) as story,
    ):
        page.cuts = [700_000]
        body = await read(story, 0, 600_000)
        page.framing = framings[1]
        assert body + await read(story, len(body)) == BIG
        assert story.size == len(BIG)
    assert changes == []


async def test_all_of_a_pinned_story_is_fetched(tmp_path: Path) -> None:
    store = on_disk(tmp_path / "stories", len(BIG))
    async with Site(a=Page(BIG, cuts=[10, 300_000])).serve() as site:
        async with opened(site, "/a", store) as story:
            await story.fetch_all()
        assert (tmp_path / "stories" / "key.story").read_bytes() == BIG
        async with opened(site, "/a", InMemory()) as story:
            site.pages["/a"].status = "404 Not Found"
            with pytest.raises(ResourceError):
                await story.fetch_all()


async def test_what_a_transfer_that_broke_off_has_brought_is_in_the_record(tmp_path: Path) -> None:
    """The player may pause for an hour: a power cut costs nothing of what is there."""
    store = on_disk(tmp_path / "stories", len(BIG))
    record = tmp_path / "stories" / "key.json"
    async with (
        Site(a=Page(BIG, cuts=[300_000, *[-1] * 9])).serve() as site,
        opened(site, "/a", store) as story,
    ):
        await read(story, 0, 100_000)
        await until(lambda: json.loads(record.read_bytes())["spans"] == [[0, 300_000]])


async def test_a_story_that_is_in_memory_alone_is_not_there_for_good() -> None:
    async with Site(a=Page(SOUND)).serve() as site, opened(site, "/a", InMemory()) as story:
        assert await read(story) == SOUND
        with pytest.raises(ResourceError, match="no room"):
            await story.fetch_all()


async def test_a_story_that_nobody_asked_for_yet_is_fetched_whole_all_the_same(
    tmp_path: Path,
) -> None:
    store = on_disk(tmp_path / "stories", len(BIG))
    async with Site(a=Page(BIG)).serve() as site, opened(site, "/a", store) as story:
        story.rest()
        await story.fetch_all()
        assert site.firsts("/a") == [0]


async def test_what_is_read_ahead_keeps_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    store = on_disk(tmp_path / "stories", len(BIG))
    async with (
        Site(a=Page(BIG)).serve() as site,
        opened(site, "/a", store, max_rate=64 * 1024) as story,
    ):
        monkeypatch.setattr(asyncio, "sleep", note)
        await story.fetch_all()
    beyond = len(BIG) - resources.online.story.NEED
    assert sum(waits) >= 0.8 * beyond / (64 * 1024)
