"""What a simulated machine keeps of stories from the web: whole ones are whole, and what is there is what was sent, within the bound.

Also who orders one: a story of which all is there plays whatever the network is.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.online.cache import key_of
from resources.online.policy import parse_target
from tools.sim.life import CURRENT
from tools.sim.machine import CURRENT_MACHINE, KEEP_BYTES
from tools.sim.web_server import STORIES, body_of, piece_at, url_of
from wire.codes import Code

if TYPE_CHECKING:
    from tools.sim.machine import Machine
    from tools.sim.world import World

FOLDER = "/stories/"
KEYS = {key_of(parse_target(url_of(name))): name for name in STORIES}
# The seconds after the last fault in which all is fetched that is to be kept for good: a look each minutes, and none while a story plays.
FETCHED_SECONDS = 580.0
# How an order is refused for the network's or the server's sake: never one of what is kept whole.
OF_NETWORK = ("does not answer", "the server answers", "no title in", "broke off", "more than")


class Keep:
    """Of one machine.

    Attributes:
        broken: what is not as it has to be.
        edition: of the server's stories now: one that is kept of another may go as soon as somebody asks for it.
    """

    def __init__(self) -> None:
        """Have looked at nothing."""
        self.edition = 1
        self.broken: list[str] = []
        self.unsaid: set[str] = set()
        """Stories of which nobody can know which edition has come."""
        self.pinned: dict[str, int] = {}
        """What the family has asked to be kept for good, and of which edition all of it was there at the last look (0: not all)."""
        self.is_told_others = False
        """Whether the server says that it has other stories, so that those of before may go."""
        self._new: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._known: Mapping[str, int] | None = None

    def look(self, machine: Machine, sizes: Mapping[str, int]) -> None:
        """Look at what is kept, if the sizes of its files by their paths are others than before."""
        if sizes is self._known:
            return
        self._look_at_pinned(machine)
        files = {path: size for path, size in sizes.items() if path.startswith(FOLDER)}
        is_damaged = any(FOLDER in path for path in machine.damaged)
        if files != self._seen and (machine.life is None or is_damaged):
            return
        self._known = sizes
        if files == self._seen:
            return
        self._seen = files
        total = sum(size for path, size in files.items() if not path.endswith(".json"))
        if total > KEEP_BYTES:
            self.broken.append(f"{total} bytes of stories are kept, expected at most {KEEP_BYTES}")
        folder = (machine.memory if machine.in_memory else machine.state) / FOLDER.strip("/")
        for key, name in KEYS.items():
            told = read(folder, key)
            if told is None or name in self.unsaid:
                continue
            if fault := fault_of(folder, key, name, told):
                self.broken.append(fault)

    def _look_at_pinned(self, machine: Machine) -> None:
        """Find what was there as a whole at the last look and is not now; a card that was taken away has nothing to look at."""
        if self.is_told_others:
            self.forget_whole()
        if not self.pinned or self.is_told_others or not can_keep(machine):
            return
        there = {name: self._there(machine, name) for name in self.pinned}
        for name, before in self.pinned.items():
            if before and not there[name]:
                self.broken.append(f"{name} is to be kept for good, was there, and is not")
        # What is there at one look may go with a power cut in that moment; what is there at the next one may not.
        self.pinned = {
            name: now if self._new.get(name) == now == self.edition else 0
            for name, now in there.items()
        }
        self._new = there

    def _there(self, machine: Machine, name: str) -> int:
        """Return of which edition all of a story is on the machine's card, the server's now if nobody said; 0: not all of it is."""
        told = kept_whole(machine, name)
        return 0 if told is None else told.edition or self.edition

    def forget_whole(self) -> None:
        """Note that the server says that its stories are others now: those of before may go."""
        self.pinned, self._new = dict.fromkeys(self.pinned, 0), {}

    def look_at_end(self, machine: Machine, seconds: float) -> None:
        """Find what is to be kept for good and was not fetched in the last quiet ``seconds``, in which the machine ran."""
        if seconds < FETCHED_SECONDS or not can_keep(machine):
            return
        for name in self.pinned:
            if kept_whole(machine, name) is None:
                self.broken.append(f"{name} is to be kept for good, and was not fetched")


def can_keep(machine: Machine) -> bool:
    """Return whether what a machine keeps is on a sound card that is there."""
    is_damaged = any(FOLDER in path for path in machine.damaged)
    is_there = not (machine.in_memory or machine.card_away or is_damaged)
    return machine.life is not None and is_there


@dataclass(frozen=True, slots=True)
class Told:
    """What the record of a kept story says, as it stands in its file: not the product's word for what is whole."""

    size: int
    edition: int
    spans: tuple[tuple[int, int], ...]
    second: bool = False
    """Whether its bytes are in the second of two files, whose name has a letter more."""

    def file(self, folder: Path, key: str, ending: str) -> Path:
        """Return the file with its bytes."""
        return folder / f"{key}{'b' if self.second else ''}.{ending}"


def read(folder: Path, key: str) -> Told | None:
    """Return what is told of a kept story; None: nothing that can be read."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        told = json.loads((folder / f"{key}.json").read_bytes())
        mark = told["validator"].strip('"').rpartition("-")[2]
        edition = int(mark) if mark else 0  # the server did not say
        spans = tuple((first, end) for first, end in told["spans"])
        return Told(told["size"], edition, spans, second=told.get("second", False))
    return None


def fault_of(folder: Path, key: str, name: str, told: Told) -> str:
    """Return what is wrong with a kept story; "" without a fault."""
    story, part = (told.file(folder, key, ending) for ending in ("story", "part"))
    if not told.edition and (edition := _labelled(story) or _labelled(part)):
        told = replace(told, edition=edition)
    body, is_whole = body_of(name, told.edition or 1), told.spans == ((0, told.size),)
    if story.exists():
        data = story.read_bytes()
        piece = piece_at(data, 0)
        # One that a card did not let go is not that of the record, until another is whole.
        wanted = body if is_whole or piece is None else body_of(name, piece.edition)
        if data != wanted:
            return f"{name} is kept as a whole one, and {len(data)} bytes are not its {len(wanted)}"
    if not part.exists():
        return ""
    data = part.read_bytes()
    for first, end in told.spans:
        if data[first:end] != body[first:end]:
            return f"{name} is kept, and its bytes {first} to {end} are others"
    return ""


def _labelled(path: Path) -> int:
    """Return of which edition a file begins; 0: it is not there, or its first bytes are not."""
    piece = piece_at(path.read_bytes(), 0) if path.exists() else None
    return 0 if piece is None else piece.edition


def kept_whole(machine: Machine, name: str) -> Told | None:
    """Return what is told of a story of which all is on the machine's card; None: not all of it is."""
    folder = machine.state / FOLDER.strip("/")
    key = next(key for key, each in KEYS.items() if each == name)
    told = read(folder, key)
    is_whole = told is not None and told.spans == ((0, told.size),)
    return (
        told if told is not None and is_whole and told.file(folder, key, "story").exists() else None
    )


def order_story(world: World, name: str) -> None:
    """Somebody at home orders a story from the web."""
    machine = world.machine
    dispatch = getattr(machine.agent, "_dispatch", None)
    if dispatch is None or machine.life is None:
        return
    life = machine.life
    is_damaged = any(FOLDER in path for path in machine.damaged)
    is_sound = not (machine.mount.full or machine.mount.read_only or is_damaged)
    is_kept = is_sound and not machine.in_memory and kept_whole(machine, name) is not None

    async def ask() -> None:
        answer = await dispatch.request("PUT", "play", url_of(name))
        world.observer.count(f"web stories {'done' if answer.code == Code.CHANGED else 'not done'}")
        is_refused = any(words in answer.text for words in OF_NETWORK)
        if (
            is_kept
            and is_refused
            and not life.dead
            and not machine.mount.full
            and not machine.mount.read_only
        ):
            world.observer.keep.broken.append(
                f"{name} is kept whole, and was refused: {answer.text}"
            )
        if is_kept and answer.code == Code.CHANGED:
            world.observer.count("kept stories")

    machine.buried.append(world.loop.create_task(ask(), context=_context(machine)))


def pin_story(world: World, name: str, *, is_pinned: bool) -> None:
    """Let the family have a story kept for good, or as any other."""
    machine, pinned = world.machine, world.observer.keep.pinned
    dispatch = getattr(machine.agent, "_dispatch", None)
    if dispatch is None or machine.life is None:
        return
    pinned.pop(name, None)  # nobody knows until it is answered
    word = "pin" if is_pinned else "unpin"

    async def ask() -> None:
        answer = await dispatch.request("PUT", "play", json.dumps({word: url_of(name)}))
        world.observer.count(f"{word} {'done' if answer.code == Code.CHANGED else 'not done'}")
        keep = world.observer.keep
        if is_pinned and answer.code == Code.CHANGED and not machine.in_memory:
            keep.pinned[name] = 0
        else:
            keep.pinned.pop(name, None)

    machine.buried.append(world.loop.create_task(ask(), context=_context(machine)))


def _context(machine: Machine) -> contextvars.Context:
    context = contextvars.Context()
    context.run(CURRENT.set, machine.life)
    context.run(CURRENT_MACHINE.set, machine)
    return context


def bind_names(upstream: Any) -> None:
    """Let servers of stories be found in the simulated network, for the rest of the process."""
    make = upstream.Upstream.__init__

    async def look_up(host: str, port: int) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = await asyncio.get_running_loop().getaddrinfo(host, port)
        return found

    def made(self: Any, policy: Any, clock: Any, **words: Any) -> None:
        make(self, policy, clock, **{**words, "resolve": look_up})

    upstream.Upstream.__init__ = made
