"""Measures look-ups among 50,000 titles in 2,500 folders: their time, the first one's, and the memory.

Each look-up includes its check for changes, by the kernel's watches and, where there are none, by the
folders' times. The reference is `os.walk` over the same folders, which is less than what a look-up did
when it listed the folder each time. The card is a folder on this machine's disk, in the page cache.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

from benchmarks.figures import Aim, Figure, command_line, figure
from machine.errors import RefusedError
from resources.titles.library import Library
from tools.processes import BenchError

TITLES, FOLDERS = 50_000, 2_500
TURNS = 15
LOOKUPS = 20
DEADLINE = 120.0
UNWATCHED = "a whole title, without watches"
WORDS = (
    "小兔子",
    "乖乖",
    "两只老虎",
    "春天",
    "在哪里",
    "三只小猪",
    "The Long Story",
    "Märchen",
    "夜",
)
SOUND = b"\xff\xfb\x90\x64" + bytes(64)


def fill(card: Path) -> list[str]:
    """Write the titles; returns those to look up, from everywhere on the card."""
    chance, titles = random.Random(1), []
    for number in range(TITLES):
        folder = card / f"Album {number % FOLDERS // 10}" / f"CD{number % FOLDERS}"
        folder.mkdir(parents=True, exist_ok=True)
        titles.append(f"第{number}集 {' '.join(chance.sample(WORDS, 3))}")
        (folder / f"{titles[-1]}.mp3").write_bytes(SOUND)
    return chance.sample(titles, LOOKUPS)


def milliseconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def look_up(library: Library, wanted: list[str]) -> None:
    """Find each of ``wanted``."""
    for title in wanted:
        library.find(title)


def miss(library: Library) -> None:
    """Look for what is nowhere, LOOKUPS times."""
    for number in range(LOOKUPS):
        try:
            library.find(f"狮子王 {number}")
        except RefusedError:
            continue
        raise BenchError("a title was found that is not there")


def walk(card: Path) -> None:
    """List the folder, as each look-up did before."""
    for _ in os.walk(card):
        pass


def measure() -> list[Figure]:
    """Fill a card, and measure all ways to look something up in turns with a listing of it."""
    with tempfile.TemporaryDirectory(prefix="story-bench-") as name:
        card = Path(name)
        titles = fill(card)
        return [
            *_lookups(card, titles),
            _first(card),
            _after_a_change(card, titles[0]),
            _memory(card, titles[0]),
        ]


def _lookups(card: Path, titles: list[str]) -> list[Figure]:
    watched = Library(card)
    unwatched = _unwatched(card)
    parts = [title.partition(" ")[0][:-1] for title in titles]
    kinds: dict[str, Callable[[], None]] = {
        "a whole title": lambda: look_up(watched, titles),
        "a part of a title": lambda: look_up(watched, parts),
        "a folder": lambda: look_up(watched, [f"CD{number}" for number in range(LOOKUPS)]),
        "what is nowhere": lambda: miss(watched),
        UNWATCHED: lambda: look_up(unwatched, titles),
    }
    look_up(watched, titles)
    figures = []
    for kind, run in kinds.items():
        turns = [
            (milliseconds(run) / LOOKUPS, milliseconds(lambda: walk(card))) for _ in range(TURNS)
        ]
        aim = None if kind == UNWATCHED else Aim("ours", "<", 5.0)
        figures.append(_figure(f"look-up of {kind}", turns, aim))
    asyncio.run(watched.close())
    asyncio.run(unwatched.close())
    return figures


def _unwatched(card: Path) -> Library:
    """Return a library to which the kernel granted no watch, and that has been read."""
    refused = OSError(24, "Too many open files")
    with mock.patch("resources.titles.media_folder.FolderWatch", side_effect=refused):
        library = Library(card)
        time.sleep(4)  # until no folder is so new that it would be read again
        library.titles()
    return library


def _first(card: Path) -> Figure:
    def read() -> None:
        library = Library(card)
        library.find("CD7")
        asyncio.run(library.close())

    turns = [(milliseconds(read), milliseconds(lambda: walk(card))) for _ in range(3)]
    return _figure("the first look-up, which reads the card", turns)


def _after_a_change(card: Path, title: str) -> Figure:
    library = Library(card)
    library.find(title)
    turns = []
    for number in range(TURNS):
        (card / "Album 7" / f"new {number}.mp3").write_bytes(SOUND)
        turns.append((milliseconds(lambda: library.find(title)), milliseconds(lambda: walk(card))))
    asyncio.run(library.close())
    return _figure("look-up after a file came", turns)


def _memory(card: Path, title: str) -> Figure:
    grown = [(_grown(card, title), _grown(card / "Album 7", title)) for _ in range(3)]
    ours, beside = ([turn[side] for turn in grown] for side in (0, 1))
    name = f"memory of {TITLES} titles"
    return figure(name, "MB", ours, f"{TITLES * 10 // FOLDERS} titles", beside)


def _grown(card: Path, title: str) -> float:
    """Return by how many MB a process grows that reads the card and looks a title up 100 times."""
    spawn = multiprocessing.get_context("spawn")
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_read, args=(card, title, sender), daemon=True)
    process.start()
    try:
        if not receiver.poll(DEADLINE):
            raise BenchError(f"the card was not read within {DEADLINE:g} s")
        return float(receiver.recv())
    finally:
        process.terminate()
        process.join()


def _read(card: Path, title: str, told: Connection) -> None:
    library = Library(card)
    before = _resident()
    for _ in range(100):
        try:
            library.find(title)
        except RefusedError:
            continue
    told.send((_resident() - before) / 1e6)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _figure(name: str, turns: list[tuple[float, float]], aim: Aim | None = None) -> Figure:
    ours, beside = ([turn[side] for turn in turns] for side in (0, 1))
    return figure(name, "ms", ours, f"os.walk over {TITLES} titles", beside, aim)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
