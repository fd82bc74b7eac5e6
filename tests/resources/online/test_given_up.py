"""An order for a story that is given up, at each of its waits, leaves the story's file closed: it plays and is kept the next time."""

from __future__ import annotations

import asyncio
import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from resources.online.cache import Cache, Kept
from resources.online.online import Online
from resources.online.upstream import Upstream
from tests.resources.online.parts import DEADLINE, SOUND, Page, Site, fetch, online, until


async def play(served: Online, url: str) -> bytes:
    return (await fetch(await served.source_for((await served.open(url)).tracks[0]), first=0)).body


class Held:
    """A blocking or awaited call that does not go on until it may."""

    def __init__(self) -> None:
        self.begun, self.goes_on = threading.Event(), threading.Event()

    def in_thread(self, work: Any) -> Any:
        def held(*arguments: Any) -> Any:
            self.begun.set()
            assert self.goes_on.wait(DEADLINE)
            return work(*arguments)

        return held

    def awaited(self, work: Any) -> Any:
        async def held(*arguments: Any) -> Any:
            self.begun.set()
            await until(self.goes_on.is_set)
            return await work(*arguments)

        return held


async def give_up(served: Online, url: str, held: Held) -> None:
    order = asyncio.create_task(served.open(url))
    await until(held.begun.is_set)
    order.cancel()
    await asyncio.sleep(0)
    held.goes_on.set()
    await asyncio.wait([order])
    assert order.cancelled()


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Cache, "find"), (Upstream, "check")],
    ids=["it is opened", "its server is asked"],
)
async def test_a_kept_story_plays_without_its_server_after_an_order_was_given_up_while(
    owner: type, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(a_mp3=Page()).serve() as site, online(tmp_path) as served:
        url = site.url("/a.mp3")
        assert await play(served, url) == SOUND
    async with online(tmp_path) as served:  # another run of the agent, the server is away
        held = Held()
        wrap = held.awaited if owner is Upstream else held.in_thread
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, wrap(getattr(owner, name)))
            await give_up(served, url, held)
        assert await play(served, url) == SOUND


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Cache, "begin"), (Kept, "write")],
    ids=["its file is begun", "its first bytes are written"],
)
async def test_a_story_is_kept_after_an_order_was_given_up_while(
    owner: type, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Site(a_mp3=Page()).serve() as site, online(tmp_path) as served:
        url, held = site.url("/a.mp3"), Held()
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, held.in_thread(getattr(owner, name)))
            await give_up(served, url, held)
        assert await play(served, url) == SOUND
    async with online(tmp_path) as served:  # another run of the agent, the server is away
        assert await play(served, url) == SOUND


async def test_a_story_whose_first_bytes_have_no_room_is_not_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_kept: Kept, _at: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with Site(a_mp3=Page()).serve() as site, online(tmp_path) as served:
        with monkeypatch.context() as patched:
            patched.setattr(Kept, "write", refuse)
            assert await play(served, site.url("/a.mp3")) == SOUND
        assert not served._cache._open
