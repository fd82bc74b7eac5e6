"""What a disk keeps over a power cut: a model of files and folders, and of what is not synced yet.

POSIX promises little, and the model no more than that: bytes that were written are on the disk after an
fsync of their file, names after an fsync of their folder. Until then any part of them may be lost, and
what came later may be there without what came before. A sector (512 bytes) that was being written when the
power went may hold anything. Pure: nothing here opens a file; `tools.sim.calls` feeds it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

SECTOR = 512


@dataclass(slots=True)
class Write:
    """Bytes that were written at an offset, or a new length (``data`` None)."""

    at: int
    data: bytes | None


@dataclass(eq=False, slots=True)
class File:
    """A file: its synced bytes, and what was written since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write] = field(default_factory=list)
    mode: int = 0o644

    def sync(self) -> None:
        """Let all that was written be durable."""
        for write in self.pending:
            apply(self.durable, write)
        self.pending.clear()


@dataclass(eq=False, slots=True)
class Link:
    """A symbolic link, which is part of its folder."""

    target: str


@dataclass(eq=False, slots=True)
class Folder:
    """A folder: its synced names, and the changes since, oldest first."""

    durable: dict[str, Node] = field(default_factory=dict)
    live: dict[str, Node] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)
    mode: int = 0o755

    def change(self, names: Mapping[str, Node | None], what: str) -> None:
        """Give names other nodes, None: take them away; one change is durable as a whole."""
        made = Change(dict(names), what)
        alter(self.live, made)
        self.pending.append(made)

    def sync(self) -> None:
        """Let all changes of names be durable."""
        for change in self.pending:
            alter(self.durable, change)
        self.pending.clear()


Node = File | Link | Folder


@dataclass(slots=True)
class Change:
    """New nodes by name; ``what``: the call that made it, for people."""

    names: dict[str, Node | None]
    what: str


def apply(data: bytearray, write: Write) -> None:
    """Do to ``data`` what a write does to a file."""
    if write.data is None:
        del data[write.at :]
        data.extend(bytes(write.at - len(data)))
        return
    data.extend(bytes(max(0, write.at - len(data))))
    data[write.at : write.at + len(write.data)] = write.data


def alter(names: dict[str, Node], change: Change) -> None:
    """Do to ``names`` what a change does to a folder."""
    for name, node in change.names.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """One tree of folders below a root."""

    def __init__(self) -> None:
        """Begin empty."""
        self.root = Folder()

    def find(self, path: PurePosixPath) -> Node | None:
        """Return what is at ``path``, relative to the root; links are not followed."""
        node: Node | None = self.root
        for part in path.parts:
            node = node.live.get(part) if isinstance(node, Folder) else None
        return node

    def folder(self, path: PurePosixPath) -> Folder:
        """Return the folder at ``path``; raises KeyError if the model has none there."""
        found = self.find(path)
        if not isinstance(found, Folder):
            raise KeyError(str(path))
        return found

    def file(self, path: PurePosixPath) -> File:
        """Return the file at ``path``; raises KeyError if the model has none there."""
        found = self.find(path)
        if not isinstance(found, File):
            raise KeyError(str(path))
        return found

    def unsynced(self) -> Iterator[tuple[str, File | Folder]]:
        """Yield paths and nodes that have something to lose, in the order of their paths."""
        for path, node in self.walk():
            if not isinstance(node, Link) and node.pending:
                yield path, node

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Yield all that is live or durable, by path, parents first."""
        seen: set[int] = set()

        def below(path: str, folder: Folder) -> Iterator[tuple[str, Node]]:
            yield path, folder
            names = {**folder.durable, **folder.live}
            changed = {n: x for c in folder.pending for n, x in c.names.items() if x is not None}
            for name, node in sorted({**changed, **names}.items()):
                if id(node) in seen:
                    continue
                seen.add(id(node))
                if isinstance(node, Folder):
                    yield from below(f"{path}/{name}", node)
                else:
                    yield f"{path}/{name}", node

        yield from below("", self.root)


# What is left after a cut.

Survivors = Mapping[str, Sequence[int]]
"""Which changes of a file or folder, by its path, reach the disk: numbers in its ``pending``."""


@dataclass(frozen=True, slots=True)
class Left:
    """The tree after a cut: the content by path (None: a folder), links and modes apart."""

    files: dict[str, bytes]
    folders: list[str]
    links: dict[str, str]
    modes: dict[str, int]


def after_cut(disk: Disk, keep: Callable[[str, File | Folder], Sequence[Write | Change]]) -> Left:
    """Return what is on the disk after a cut; ``keep`` chooses what of a node's pending is there."""
    left = Left({}, [], {}, {})
    chosen: dict[int, bytes] = {}
    paths = {id(node): path for path, node in disk.walk()}

    def fill(path: str, folder: Folder) -> None:
        names = dict(folder.durable)
        for change in keep(paths.get(id(folder), path), folder) if folder.pending else ():
            if isinstance(change, Change):
                alter(names, change)
        for name, node in sorted(names.items()):
            place(f"{path}/{name}", node)

    def place(path: str, node: Node) -> None:
        match node:
            case Folder():
                left.folders.append(path)
                left.modes[path] = node.mode
                fill(path, node)
            case Link():
                left.links[path] = node.target
            case File():
                left.modes[path] = node.mode
                if id(node) not in chosen:
                    chosen[id(node)] = _content(paths.get(id(node), path), node, keep)
                left.files[path] = chosen[id(node)]

    fill("", disk.root)
    return left


def flip_bit(left: Left, chance: float) -> str:
    """Change one bit of one of the machine's own files, chosen by ``chance`` (0 to 1); return its path, "" without files.

    Stories and the root of trust are not its own: they come with its image.
    """
    chosen = choose_bit({path: len(data) for path, data in left.files.items()}, chance)
    if chosen is None:
        return ""
    path, at, mask = chosen
    data = bytearray(left.files[path])
    data[at] ^= mask
    left.files[path] = bytes(data)
    return path


def choose_bit(sizes: Mapping[str, int], chance: float) -> tuple[str, int, int] | None:
    """Return a bit of one of the machine's own files: its path, its byte, and the bit in that; None without files."""
    own = [
        path
        for path in sorted(sizes)
        if sizes[path] and not path.startswith("/media/") and path != "/root.json"
    ]
    if not own:
        return None
    rest = chance * len(own)
    path = own[int(rest) % len(own)]
    bits = 8 * sizes[path]
    bit = int((rest % 1) * bits) % bits
    return path, bit // 8, 1 << bit % 8


def rot(file: File, at: int, mask: int) -> None:
    """Let a bit of a file be another one, in what is synced and in what is not."""
    if at < len(file.durable):
        file.durable[at] ^= mask
    for write in file.pending:
        if write.data is not None and write.at <= at < write.at + len(write.data):
            data = bytearray(write.data)
            data[at - write.at] ^= mask
            write.data = bytes(data)


def _content(
    path: str, file: File, keep: Callable[[str, File | Folder], Sequence[Write | Change]]
) -> bytes:
    data = bytearray(file.durable)
    for write in keep(path, file) if file.pending else ():
        if isinstance(write, Write):
            apply(data, write)
    return bytes(data)


def torn(write: Write, sectors: Sequence[bool]) -> list[Write]:
    """Return the parts of a write whose sectors (of the file) are on the disk."""
    if write.data is None:
        return [write] if all(sectors) else []
    parts = split(write)
    return [part for part, kept in zip(parts, sectors, strict=True) if kept]


def split(write: Write) -> list[Write]:
    """Return a write as one write for each sector of the file that it touches."""
    if write.data is None:
        return [write]
    parts, at, rest = [], write.at, write.data
    while rest:
        length = SECTOR - at % SECTOR
        parts.append(Write(at, rest[:length]))
        at, rest = at + len(rest[:length]), rest[length:]
    return parts or [write]


def ways(count: int) -> list[tuple[int, ...]]:
    """Return which of ``count`` changes may have survived: none, all, the first ones, all but one."""
    every = tuple(range(count))
    firsts = [every[:n] for n in range(count + 1)]
    but_one = [every[:n] + every[n + 1 :] for n in range(count)]
    alone = [(n,) for n in every]
    return list(dict.fromkeys([*firsts, *but_one, *alone]))


def survivals(disk: Disk, limit: int) -> Iterator[Survivors]:
    """Yield what may be left of all that is not synced: each node's `ways`, all combined, at most ``limit``."""
    nodes = list(disk.unsynced())
    choices = [ways(len(node.pending)) for _, node in nodes]
    for combined in itertools.islice(itertools.product(*choices), limit):
        yield {path: way for (path, _), way in zip(nodes, combined, strict=True)}


def describe(change: Write | Change) -> str:
    """Return a change in words."""
    if isinstance(change, Change):
        return change.what
    return (
        f"length {change.at}" if change.data is None else f"{len(change.data)} bytes at {change.at}"
    )
