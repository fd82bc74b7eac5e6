"""What ``play`` tells is what sounds: orders at random, on real mpv, listened to on a null sink's monitor."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from machine.errors import ResourceError
from machine.player import MpvPlayer
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.titles.library import Library
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, Ear, PulseServer, lone_server

# Far enough apart to be told in a tenth of a second, and none the other's overtone.
TONES = {"一": 400.0, "二": 530.0, "三": 700.0, "四": 930.0, "五": 1230.0}
ROUNDS = 14
SEED = 20261126


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    folder = tmp_path / "pulse"
    folder.mkdir()
    with lone_server(folder, monkeypatch) as server:
        yield server


@pytest.fixture
async def point(sound: PulseServer, tmp_path: Path) -> AsyncIterator[PlayPoint]:
    assert sound
    media = tmp_path / "media"
    for title, hertz in TONES.items():
        write_tone(media / "歌" / f"{title}.wav", seconds=90, hertz=hertz)

    async def ignore(_title: str) -> None:
        pass

    point = PlayPoint(Teller(MpvPlayer(), [Library(media)], ignore))
    yield point
    await point.close()


async def hears(ear: Ear, title: str) -> None:
    """Wait until ``title`` sounds, then see that it goes on to sound."""
    async with asyncio.timeout(DEADLINE):
        while await ear.tone(*TONES.values()) != TONES[title]:
            pass
    for _ in range(3):
        assert await ear.tone(*TONES.values()) == TONES[title]


def draw(dice: random.Random) -> str:
    """Return an order of any kind."""
    titles = list(TONES)
    some = dice.sample(titles, 3)
    return dice.choice([
        dice.choice(titles), f"播放{dice.choice(titles)}", "下一首", "next", "上一首", "previous", "歌",
        json.dumps(some, ensure_ascii=False), "继续", "从头",
    ])  # fmt: skip


async def give(point: PlayPoint, order: str) -> None:
    """Give an order; at the end of the queue there is no next, which is an answer too."""
    refusable = order in {"下一首", "next", "上一首", "previous"}
    try:
        await point.put(order)
    except ResourceError as error:
        if not refusable and "newer order" not in str(error):
            raise


async def test_the_tone_that_is_heard_is_the_title_that_is_told(
    sound: PulseServer, point: PlayPoint
) -> None:
    dice = random.Random(SEED)  # the same orders each time
    async with sound.ear() as ear:
        await point.put("一")
        for _ in range(ROUNDS):
            await give(point, draw(dice))
            await hears(ear, await point.get())


async def test_the_last_of_many_orders_at_once_wins(sound: PulseServer, point: PlayPoint) -> None:
    dice = random.Random(SEED + 1)  # the same orders each time
    async with sound.ear() as ear:
        for _ in range(ROUNDS // 2):
            orders = [
                asyncio.create_task(give(point, draw(dice))) for _ in range(dice.randint(1, 4))
            ]
            await asyncio.sleep(dice.choice([0.0, 0.01, 0.05]))
            last = dice.choice(list(TONES))
            await point.put(last)
            await asyncio.wait(orders)
            assert await point.get() == last
            await hears(ear, last)
        await point.put("停止")
        assert await point.get() == ""
        await ear.silence()
