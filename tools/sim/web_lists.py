"""Lists and feeds of the simulated web: what a server has under their names, and whether a machine plays what they say.

Their titles are the server's stories. An edition of a list begins one title later than the one before.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine.errors import RefusedError
from resources.online.kept_lists import key_of_list
from resources.online.online import Online
from resources.online.policy import parse_target
from tools.sim.machine import CURRENT_MACHINE
from tools.sim.web_keep import FOLDER, KEYS, kept_whole
from tools.sim.web_server import HOST, STORIES, Page, WebServer

if TYPE_CHECKING:
    from resources.playing.queue import Queue
    from tools.sim.machine import Machine

# What a list names, by its name; what has the name of another list is its titles.
LISTS: dict[str, tuple[str, ...]] = {
    "list-0.m3u": ("web-0", "web-1", "web-2"),
    "list-1.m3u": ("web-1", "web-3"),
    "list-2.pls": ("web-4", "web-5", "web-0", "web-3"),
    "list-3.m3u": ("list-1.m3u", "web-5", "web-0", "web-2"),
    "feed-0.xml": ("web-5", "web-2", "web-1"),
    "feed-1.xml": ("web-0", "web-5"),
}
NAMES = list(LISTS)
TYPES = {"m3u": "audio/x-mpegurl", "pls": "audio/x-scpls", "xml": "application/rss+xml"}
# How an order is refused because a server or its network is away, and not because there is no such list.
OF_NETWORK = ("does not answer", "the server answers 5", "no title in", "broke off")
# What is told of a list whose stories on the card are all that plays of it.
OFFLINE = "no answer"


def url_of_list(name: str) -> str:
    """Return a list's address."""
    return f"https://{HOST}/{name}"


def entries_of(name: str, edition: int) -> list[str]:
    """Return what an edition of a list names, in the order in which it plays."""
    named = LISTS[name]
    first = edition % len(named)
    return [*named[first:], *named[:first]]


def page_of(name: str, edition: int) -> Page | None:
    """Return what a server has under a name; None: it is no list's."""
    if name not in LISTS:
        return None
    ending, named = name.rpartition(".")[2], entries_of(name, edition)
    links = [each if each in LISTS else f"{each}.mp3" for each in named]
    make = {"m3u": _m3u, "pls": _pls, "xml": _rss if name == "feed-0.xml" else _atom}[ending]
    return Page(f"{name}-{edition}", make(named, links).encode(), TYPES[ending])


def _m3u(named: Sequence[str], links: Sequence[str]) -> str:
    """Have every second title without a name of its own, one that is no web's, and one of another place on the server."""
    lines = ["#EXTM3U", "file:///home/somebody/nothing.mp3"]
    for number, (name, link) in enumerate(zip(named, links, strict=True)):
        lines += [f"#EXTINF:30,{name}"] if number % 2 == 0 else []
        lines.append(f"/{link}" if number % 2 == 0 else url_of_list(link))
    return "\r\n".join(lines)


def _pls(named: Sequence[str], links: Sequence[str]) -> str:
    """Have the titles' lines in another order than their numbers."""
    numbered = list(enumerate(zip(named, links, strict=True), 1))
    lines = ["[playlist]", f"NumberOfEntries={len(named)}"]
    for number, (name, link) in reversed(numbered):
        lines += [f"File{number}=/{link}", f"Title{number}={name}", f"Length{number}=-1"]
    return "\n".join([*lines, "Version=2", ""])


def _rss(named: Sequence[str], links: Sequence[str]) -> str:
    """Have the oldest episode first: the newest is played first."""
    items = [
        f"<item><title>{name}</title><pubDate>{30 - number:02} Nov 2026 06:00:00 +0000</pubDate>"
        f'<enclosure url="{url_of_list(link)}" type="audio/mpeg" length="1"/></item>'
        for number, (name, link) in enumerate(zip(named, links, strict=True))
    ]
    return f'<rss version="2.0"><channel><title>a feed</title>{"".join(reversed(items))}</channel></rss>'


def _atom(named: Sequence[str], links: Sequence[str]) -> str:
    items = [
        f"<entry><title>{name}</title><updated>2026-11-{30 - number:02}T06:00:00Z</updated>"
        f'<link rel="enclosure" type="audio/mpeg" href="{url_of_list(link)}"/></entry>'
        for number, (name, link) in enumerate(zip(named, links, strict=True))
    ]
    head = '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
    return f"{head}<title>a feed</title>{''.join(items)}</feed>"


def fits(found: Sequence[str], name: str, edition: int) -> bool:
    """Return whether titles are those of a list's edition; a list that it names may stand for its titles, of any edition."""
    left = list(found)
    for each in entries_of(name, edition):
        inner = (
            []
            if each not in LISTS
            else [entries_of(each, turn) for turn in range(len(LISTS[each]))]
        )
        for titles in [*inner, [each]]:
            if left[: len(titles)] == titles:
                del left[: len(titles)]
                break
        else:
            return False
    return not left


@dataclass(frozen=True, slots=True)
class Before:
    """What was so when a list was ordered: the server's edition, whether what it sends may end early, and which titles of the list are kept as a whole; None: nobody knows."""

    edition: int
    may_end_early: bool
    kept: Sequence[str] | None


class ListWatch:
    """Compares what a machine opens with what the server has.

    Attributes:
        broken: what was not so.
    """

    def __init__(self, stories: WebServer, count: Callable[[str], None]) -> None:
        """Have seen nothing opened."""
        self.broken: list[str] = []
        self._stories, self._count = stories, count
        self._opened: dict[str, list[list[str]]] = {}

    def before(self, machine: Machine, name: str) -> Before:
        """Look before a list is opened."""
        stories = self._stories
        return Before(stories.edition, stories.may_end_early, _kept(machine, name))

    def opened(self, machine: Machine, name: str, queue: Queue, before: Before) -> None:
        """Judge the queue that a list has become."""
        found = [_name_of(track.source) for track in queue.tracks]
        if any(OFFLINE in note for note in queue.notes):
            self._count("lists without the network")
            self._judge_offline(machine, name, found, before)
            return
        self._count("lists")
        self._opened.setdefault(name, []).append(found)
        if self._stories.edition != before.edition:
            return
        if before.may_end_early or self._stories.may_end_early:
            return
        if not fits(found, name, before.edition):
            self.broken.append(f"{name} {before.edition} was opened as {found}")
        for track, title in zip(queue.tracks, found, strict=True):
            if title in STORIES and track.title != title:
                self.broken.append(f"{name} says that {title} is {track.title}")

    def _judge_offline(
        self, machine: Machine, name: str, found: Sequence[str], before: Before
    ) -> None:
        """Judge a list of which only what is kept plays: in its order, and no title that is not there."""
        if not any(_is_part(found, each) for each in self._opened.get(name, [])):
            self.broken.append(f"{name} was opened without the network as {found}")
        now = _kept(machine, name)
        if before.kept is None or now is None:
            return
        there = {each for each in found if each in STORIES and kept_whole(machine, each)}
        if there != set(found):
            self.broken.append(f"{name} without the network has {found}, and kept are {there}")
        if missing := set(before.kept) & set(now) - set(found):
            self.broken.append(f"{name} without the network lacks {missing}, which are kept")

    def refused(self, machine: Machine, name: str, text: str, before: Before) -> None:
        """Judge a list that was refused."""
        now = _kept(machine, name)
        if before.kept and now and any(words in text for words in OF_NETWORK):
            self.broken.append(f"{name} is kept with {now}, and was refused: {text}")


def _name_of(url: str) -> str:
    name = url.rpartition("/")[2]
    return name if name in LISTS else name.rpartition(".")[0]


def _is_part(found: Sequence[str], whole: Sequence[str]) -> bool:
    """Return whether titles are some of a list's, in its order."""
    rest = iter(whole)
    return all(each in rest for each in found)


def _kept(machine: Machine, name: str) -> list[str] | None:
    """Return which titles are kept as a whole of a list that is kept itself; None: the card is not sound, or the list is not there."""
    is_damaged = any(FOLDER in path for path in machine.damaged)
    if machine.life is None or machine.in_memory or is_damaged:
        return None
    if machine.mount.full or machine.mount.read_only:
        return None
    folder = machine.state / FOLDER.strip("/")
    key = key_of_list(parse_target(url_of_list(name)))
    listed = _read_list(folder / f"{key}.json", folder / f"{key}.story")
    if listed is None:
        return None
    return [each for each in listed if each in KEYS.values() and kept_whole(machine, each)]


def _read_list(record: Path, story: Path) -> list[str] | None:
    """Return what a kept list names; None: it is not there as a whole."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        told = json.loads(record.read_bytes())
        if told["spans"] == [[0, told["size"]]]:
            rows: Sequence[Sequence[str]] = json.loads(story.read_bytes())["entries"]
            return [_name_of(row[1]) for row in rows]
    return None


def watch_lists(watching: Callable[[], ListWatch | None]) -> None:
    """Judge each list that a machine opens, for the rest of the process."""
    make = Online.open
    names: Mapping[str, str] = {url_of_list(name): name for name in LISTS}

    async def noted(self: Online, url: str) -> Any:
        watch, machine, name = watching(), CURRENT_MACHINE.get(), names.get(url)
        if watch is None or machine is None or machine.life is None or name is None:
            return await make(self, url)
        life, before = machine.life, watch.before(machine, name)
        try:
            queue = await make(self, url)
        except RefusedError as error:
            if machine.life is life:
                watch.refused(machine, name, str(error), before)
            raise
        if machine.life is life:
            watch.opened(machine, name, queue, before)
        return queue

    Online.open = noted  # type: ignore[method-assign]
