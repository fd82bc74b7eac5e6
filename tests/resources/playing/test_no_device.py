"""Orders while a story waits for a sound device, on real mpv and a sound server that goes and comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from machine.errors import UnavailableError
from machine.player import MpvPlayer
from resources.playing import deck
from resources.playing.events import State
from resources.playing.queue import PlayMode
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.titles.library import Library
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, Ear, PulseServer, lone_server, until

TONES = {"一": 400.0, "二": 700.0}
HERTZ = tuple(TONES.values())


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    with lone_server(folder, monkeypatch) as server:
        yield server


@pytest.fixture
async def waiting(sound: PulseServer, tmp_path: Path) -> AsyncIterator[PlayPoint]:
    """Return a point whose story waits, because the sound server has died."""
    media = tmp_path / "media"
    for title, hertz in TONES.items():
        write_tone(media / "歌" / f"{title}.wav", seconds=20, hertz=hertz)

    async def ignore(_title: str) -> None:
        pass

    point = PlayPoint(Teller(MpvPlayer(), [Library(media)], ignore))
    await point.put("一")
    sound.kill()
    await until(lambda: point.teller.state is State.WAITING)
    yield point
    await point.close()


async def hears(ear: Ear, title: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while await ear.tone(*HERTZ) != TONES[title]:
            pass


async def test_what_waits_for_a_sound_device_stays_when_an_order_finds_none(
    sound: PulseServer, waiting: PlayPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck, "DEVICE_SECONDS", 0.1)
    for order in ("next", "二", '["二", "一"]', '{"play": "歌", "mode": "shuffle"}'):
        with pytest.raises(UnavailableError, match="play: no sound device"):
            await waiting.put(order)
        assert (await waiting.get(), waiting.teller.state) == ("一", State.WAITING)
    assert waiting.teller.mode is PlayMode.ORDER
    sound.start()
    async with sound.ear() as ear:
        await hears(ear, "一")
        await waiting.put("next")
        await hears(ear, "二")


async def test_an_order_waits_a_moment_for_a_sound_server_that_is_being_restarted(
    sound: PulseServer, waiting: PlayPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck, "DEVICE_SECONDS", DEADLINE)
    order = asyncio.create_task(waiting.put("next"))
    sound.start()
    async with sound.ear() as ear:
        await order
        await hears(ear, "二")


async def test_a_stop_ends_what_waits_for_a_sound_device(
    waiting: PlayPoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck, "DEVICE_SECONDS", DEADLINE)
    order = asyncio.create_task(waiting.put("next"))
    await until(waiting.teller._programme.lock.locked)
    await waiting.put("stop")
    with pytest.raises(UnavailableError, match="newer order"):
        await order
    assert waiting.teller.state is State.IDLE
