"""A sound server that is killed again and again in one story: the place is kept, and nothing leaks."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.player import MpvPlayer
from tests.conftest import write_tone
from tests.machine.parts import PulseServer, lone_server, until, until_position

# As many as make test has the time for; DEATHS=20 proves more (docs/playing.md).
DEATHS = int(os.environ.get("DEATHS", "6"))


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    with lone_server(folder, monkeypatch) as server:
        yield server


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Places:
    """Reads the place again and again, and keeps how far it ever came."""

    def __init__(self, player: MpvPlayer) -> None:
        self._player = player
        self.furthest = 0.0

    async def read(self) -> float:
        place = await self._player.position() or 0.0
        self.furthest = max(self.furthest, place)
        return place

    async def read_until(self, name: str) -> None:
        while not self._player.name.startswith(name):
            await self.read()
            await asyncio.sleep(0.005)


async def test_deaths_of_the_sound_server_in_one_story(sound: PulseServer, tmp_path: Path) -> None:
    story = str(write_tone(tmp_path / "story.wav", seconds=600))
    player, ends, dice = MpvPlayer(), list[str | None](), random.Random(9)
    await player.play(story, ends.append)
    places = Places(player)
    await until_position(player, 0.3)
    pid, open_before = player.pid, descriptors(os.getpid())
    assert pid
    open_in_player = descriptors(pid)
    for death in range(DEATHS):
        await until_position(player, await places.read() + dice.uniform(0.1, 0.9))
        heard = await places.read()
        sound.kill()
        async with asyncio.timeout(60):
            await places.read_until("mpv: no sound device: waits at ")
            held = await places.read()
            assert heard - 1.5 <= held <= heard + 0.5, death
            assert places.furthest <= heard + 0.5, death  # what nobody heard is not told
            sound.start()
            if death % 4 == 3:  # and once more while it comes back
                sound.kill()
                sound.start()
            await places.read_until("mpv: pulse")
        assert await places.read() >= held - 1.5, death
    assert player.pid == pid
    await until(lambda: descriptors(os.getpid()) <= open_before)
    assert descriptors(pid) <= open_in_player + 1
    assert ends == []
    await player.close()


class WornDevice:
    """A mixer with a fault that nobody has thought of."""

    def __init__(self) -> None:
        self.is_broken = False
        self.tell: Callable[[], None] = lambda: None

    async def restore(self, *, renewed: bool) -> None:
        """Leave the volume."""

    async def is_dummy(self) -> bool:
        if self.is_broken:
            raise ValueError("secret")
        return False

    async def watch(self, on_change: Callable[[], None]) -> None:
        self.tell = on_change
        await asyncio.get_running_loop().create_future()


async def test_a_bug_while_a_story_plays_ends_that_story_alone(
    sound: PulseServer, tmp_path: Path
) -> None:
    assert sound
    story = str(write_tone(tmp_path / "story.wav", seconds=60))
    device, ends = WornDevice(), list[str | None]()
    player = MpvPlayer(device)
    await player.play(story, ends.append)
    device.is_broken = True
    device.tell()
    await until(lambda: ends)
    assert ends == ["internal error: ValueError"]
    assert not player.waiting  # which would refuse every later order: "no sound device"
    with pytest.raises(UnavailableError, match="play: internal error: ValueError"):
        await player.play(story, ends.append)
    device.is_broken = False
    await player.play(story, ends.append)
    await until_position(player, 0.1)
    await player.close()
