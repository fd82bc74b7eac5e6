"""Helpers that the players' tests share: a scripted player, and a play point that uses it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from machine.errors import RefusedError, UnavailableError
from machine.level import KeptLevel
from machine.mixers import Mixer, StandInMixer
from machine.player import EndListener
from resources.loudness.loudness import Loudness, LoudnessParts
from resources.playing.events import Event
from resources.playing.keys import url_key
from resources.playing.positions import Positions
from resources.playing.queue import Queue, Track
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.record import Record
from resources.titles.library import Library

DEADLINE = 60.0
# The head of an MP3 frame, for files that no player opens.
SOUND = b"\xff\xfb\x90\x64" + bytes(413)


def make_sounds(folder: Path, *names: str) -> None:
    """Write files that look like sound into ``folder``, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(SOUND)


def descriptors() -> int:
    """Return the number of files and sockets that this process has open and still uses."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def level_on(mixer: Mixer) -> KeptLevel:
    """Return a level that finds ``mixer``, whatever the test's machine has."""

    async def find(_on_change: Callable[[], None]) -> Mixer:
        return mixer

    return KeptLevel(find, lambda: "")


class LoudBench:
    """A loudness whose clock and boot the test sets, and what it reported."""

    def __init__(self, level: KeptLevel | None = None, path: Path | None = None) -> None:
        self.now: datetime | None = datetime(2026, 11, 26, 12, 0).astimezone()
        self.boot = "boot 1"
        self.level = level or level_on(StandInMixer())
        self.reported: list[int] = []
        self.loudness = Loudness(
            LoudnessParts(
                self.level, Record(path), lambda: self.now, self.report, lambda: self.boot
            )
        )

    async def report(self, step: int) -> None:
        self.reported.append(step)


class ScriptedPlayer:
    """Plays nothing; fails for given titles, and ends when the test says so."""

    name = "scripted"
    folder: Path | None = None
    waiting = False

    def __init__(self) -> None:
        self.played: list[str] = []
        self.broken: set[str] = set()
        self.paused: bool | None = None
        self.live = False
        self.silent = False
        self.loading: asyncio.Event | None = None
        self.given_up = asyncio.Event()
        self.on_end: EndListener = lambda _reason: None
        self.output: str | None = "scripted"
        self.at: float | None = None
        self.volumes: list[int] = []
        self.starts: list[float] = []
        self.gains: list[float] = []
        self.kept_fades: list[bool] = []
        self.fades: list[tuple[float, float]] = []
        self.duration: float | None = None

    async def play(
        self,
        source: str,
        on_end: EndListener,
        *,
        start: float = 0.0,
        gain: float = 0.0,
        volume: int = 100,
        keep_fade: bool = False,
    ) -> None:
        title = Path(source).stem
        self.starts.append(start)
        if start:
            self.at = start
        self.gains.append(gain)
        self.kept_fades.append(keep_fade)
        self.volumes.append(volume)
        self.played.append(title)
        self.on_end = on_end
        self.live = self.silent = False
        self.given_up.clear()
        await asyncio.sleep(0)
        if self.loading is not None:
            await self._load(self.loading)
        if title in self.broken:
            raise RefusedError(f"play: cannot be played: {title}")
        if title == "offline":
            raise UnavailableError("play: nothing to hear in 7 s")
        self.live = True

    async def pause(self, *, paused: bool) -> None:
        self.paused = self.silent = paused

    async def stop(self) -> None:
        self.played.append("(stop)")
        self.live = False
        self.given_up.set()

    async def _load(self, loaded: asyncio.Event) -> None:
        """Wait for the test's sign; a stop meanwhile gives the source up, as mpv does."""
        waits = [asyncio.create_task(event.wait()) for event in (loaded, self.given_up)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not loaded.is_set():
            raise UnavailableError("play: given up for a newer order")

    async def position(self) -> float | None:
        return self.at

    async def length(self) -> float | None:
        return self.duration

    async def seek(self, seconds: float) -> None:
        self.at = seconds

    async def set_gain(self, db: float) -> None:
        self.gains.append(db)

    async def fade(self, to_db: float, seconds: float) -> bool:
        self.fades.append((to_db, seconds))
        return True

    async def close(self) -> None:
        self.played.append("(close)")


class PlainWeb:
    """An opener that hands URLs to the player as they are, in place of the agent's own."""

    async def open(self, text: str) -> Queue | None:
        if not text.lower().startswith(("http://", "https://")):
            return None
        scheme, mark, rest = text.partition("://")
        source = scheme.lower() + mark + rest
        return Queue((Track(text, source, url_key(source)),))

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


class Bench:
    def __init__(self, folder: Path, *titles: str, memory: Positions | None = None) -> None:
        make_sounds(folder, *(f"{title}.mp3" for title in titles))
        self.player = ScriptedPlayer()
        self.changes: asyncio.Queue[str] = asyncio.Queue()
        self.library = Library(folder)
        self.teller = Teller(self.player, [PlainWeb(), self.library], self.changes.put, memory)
        self.point = PlayPoint(self.teller)
        self.events: list[Event] = []
        self.teller.subscribe(self.events.append)

    async def change(self) -> str:
        async with asyncio.timeout(DEADLINE):
            return await self.changes.get()
