"""Lists that were opened before: without the network they are what is on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.errors import RefusedError
from resources.online.kept_lists import dump_entries, parse_entries
from resources.online.policy import NOT_REACHED
from tests.resources.online.parts import SOUND, Page, Site, online
from tests.resources.online.test_online import m3u, play
from wire.entries import Entry
from wire.errors import WireError


async def test_without_the_network_a_list_has_the_stories_that_are_kept(tmp_path: Path) -> None:
    listing = m3u("#EXTINF:1,Eins", "a.mp3", "#EXTINF:1,Zwei", "b.mp3", "c.mp3")
    async with (
        Site(l=listing, a_mp3=Page(), b_mp3=Page(), c_mp3=Page()).serve() as site,
        online(tmp_path) as served,
    ):
        queue = await served.open(site.url("/l"))
        assert len(queue) == 3
        assert await play(served, queue.tracks[1]) == SOUND
        listing.body = m3u("#EXTINF:1,Neu", "n.mp3", "#EXTINF:1,Zwei", "b.mp3").body
        assert len(await served.open(site.url("/l"))) == 2
    async with online(tmp_path) as served:
        queue = await served.open(site.url("/l"))
        assert [track.title for track in queue.tracks] == ["Zwei"]
        assert queue.whole
        assert "1 titles that are not kept" in queue.notes[0]
        assert await play(served, queue.tracks[0]) == SOUND


@pytest.mark.parametrize("cut", [20, -1], ids=["breaks off", "answers 503"])
async def test_a_list_whose_server_is_not_well_has_the_stories_that_are_kept(
    tmp_path: Path, cut: int
) -> None:
    listing = m3u("#EXTINF:1,Eins", "a.mp3", "b.mp3")
    async with (
        Site(l=listing, a_mp3=Page(), b_mp3=Page()).serve() as site,
        online(tmp_path) as served,
    ):
        queue = await served.open(site.url("/l"))
        assert await play(served, queue.tracks[0]) == SOUND
        listing.cuts = [len(listing.body), cut]
        again = await served.open(site.url("/l"))
        assert [track.title for track in again.tracks] == ["Eins"]
        assert len(await served.open(site.url("/l"))) == 2


def spoil_list(folder: Path, damage: bytes) -> None:
    for path in folder.glob("*.story"):
        if path.read_bytes().startswith(b'{"format"'):
            path.write_bytes(damage.ljust(path.stat().st_size))
            return
    raise AssertionError


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"entries": [["a"]]}', b'{"entries": 1}'])
async def test_a_list_of_which_nothing_is_kept_or_that_is_damaged_is_refused(
    tmp_path: Path, damage: bytes
) -> None:
    async with (
        Site(l=m3u("a.mp3"), a_mp3=Page()).serve() as site,
        online(tmp_path) as served,
    ):
        queue = await served.open(site.url("/l"))
        await play(served, queue.tracks[0])
    spoil_list(tmp_path, damage)
    async with online(tmp_path) as served:
        with pytest.raises(RefusedError, match=NOT_REACHED):
            await served.open(site.url("/l"))


async def test_a_list_that_answers_is_never_the_kept_one(tmp_path: Path) -> None:
    listing = m3u("a.mp3")
    async with Site(l=listing, a_mp3=Page()).serve() as site, online(tmp_path) as served:
        await play(served, (await served.open(site.url("/l"))).tracks[0])
        site.pages["/l"] = Page(b"gone", status="410 Gone")
        with pytest.raises(RefusedError, match="410"):
            await served.open(site.url("/l"))


def test_entries_are_text_and_back() -> None:
    entries = [Entry("小兔子", "http://h/a.mp3"), Entry("b", "https://h/b")]
    assert parse_entries(dump_entries(entries)) == entries
    with pytest.raises(WireError, match="entries"):
        parse_entries(b"{}")
