"""Titles are measured one by one while nothing plays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from machine.errors import RefusedError, UnavailableError
from machine.measure import Measured
from resources.loudness.gain_index import GainIndex
from resources.loudness.measurer import Measurer
from resources.playing.queue import Track
from tests.machine.parts import until
from tests.moved_clock import Since, on_moved_clock

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
AGAIN_SECONDS = 600.0
IDLE_SECONDS = 120.0


class Idle:
    """A machine on a clock of its own, with some files."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        for name in names:
            (folder / name).write_bytes(b"sound")
        self.folder = folder
        self.tracks: Sequence[Track] = [Track(name, str(folder / name), name) for name in names]
        self.index = GainIndex(None)
        self.busy = False
        self.now = 0.0
        self.limit = 0.0
        self.measured: list[str] = []
        self.given_up: list[str] = []
        self.endless: set[str] = set()
        self.measurer = Measurer(
            self.index, lambda: self.tracks, self.measure, lambda: self.busy, self.sleep
        )

    async def sleep(self, seconds: float) -> None:
        if self.now + seconds > self.limit:
            await asyncio.get_running_loop().create_future()
        self.now += seconds

    async def measure(self, source: str) -> Measured:
        name = Path(source).name
        self.measured.append(name)
        if name == "broken":
            raise RefusedError("loudness: it holds no sound")
        if name in self.endless:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.given_up.append(name)
        return Measured(-10.0, -1.0)

    @contextlib.asynccontextmanager
    async def running(self, seconds: float) -> AsyncIterator[None]:
        self.limit = seconds
        task = asyncio.create_task(self.measurer.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_after_a_while_of_silence_all_titles_are_measured_and_none_twice(
    tmp_path: Path,
) -> None:
    idle = Idle(tmp_path, ["a", "broken", "b"])
    async with idle.running(IDLE_SECONDS - 1):
        await asyncio.sleep(0)
        assert idle.measured == []
    async with idle.running(2 * IDLE_SECONDS + 3 * AGAIN_SECONDS):
        await until(lambda: len(idle.measured) == 3 and idle.now > 2 * AGAIN_SECONDS)
    assert idle.measured == ["a", "broken", "b"]
    assert await idle.measurer.gain_for(idle.tracks[0]) == -8.0


@on_moved_clock
async def test_what_begins_to_play_ends_the_measurement_within_a_quarter_of_a_second(
    tmp_path: Path,
) -> None:
    idle = Idle(tmp_path, ["a", "long", "b"])
    idle.endless = {"long"}
    async with idle.running(IDLE_SECONDS):
        await until(lambda: "long" in idle.measured)
        await asyncio.sleep(1.1)
        idle.busy, since = True, Since()
        await until(lambda: idle.given_up == ["long"])
        assert since.seconds <= 0.26
    assert idle.measured == ["a", "long"]
    assert not idle.index.knows(str(tmp_path / "long"))


async def test_a_new_title_is_measured_too(tmp_path: Path) -> None:
    idle = Idle(tmp_path, ["a"])
    async with idle.running(1e6):
        await until(lambda: idle.measured == ["a"])
        (tmp_path / "b").write_bytes(b"sound")
        idle.tracks = [*idle.tracks, Track("b", str(tmp_path / "b"), "b")]
        await until(lambda: idle.measured == ["a", "b"])


async def test_a_card_or_player_that_is_missing_is_tried_again_later(tmp_path: Path) -> None:
    idle = Idle(tmp_path, ["a"])
    tries = 0

    def unreadable() -> Sequence[Track]:
        nonlocal tries
        tries += 1
        raise UnavailableError("play: the media cannot be read")

    idle.measurer = Measurer(idle.index, unreadable, idle.measure, lambda: False, idle.sleep)
    async with idle.running(2 * IDLE_SECONDS + AGAIN_SECONDS):
        await until(lambda: tries == 2)


async def test_a_story_of_the_web_and_a_new_one_are_as_loud_as_the_others(tmp_path: Path) -> None:
    idle = Idle(tmp_path, ["a", "b"])
    assert await idle.measurer.gain_for(Track("t", "http://host/t.mp3")) == 0.0
    idle.index.keep(str(tmp_path / "a"), Measured(-10.0, -1.0))
    assert await idle.measurer.gain_for(Track("t", "http://host/t.mp3")) == -8.0
    assert await idle.measurer.gain_for(idle.tracks[1]) == -8.0
    await idle.measurer.close()
