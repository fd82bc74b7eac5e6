"""A machine that loses its power in the middle of a story, on real mpv: the process is killed, as is mpv."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from machine.player import MpvPlayer
from resources.playing.positions import Positions
from resources.playing.resume import Choice
from resources.playing.teller import Teller
from resources.titles.library import Library
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, until_position

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
BACK_SECONDS = 4.0

STEP = 0.2
PLAYING = f"""
import asyncio, sys
from pathlib import Path
import resources.playing.deck
from machine.player import MpvPlayer
from resources.playing.positions import Positions
from resources.playing.resume import Choice
from resources.playing.teller import Teller
from resources.titles.library import Library

resources.playing.deck.BEAT_SECONDS = {STEP}

async def ignore(title):
    pass

async def main():
    folder = Path(sys.argv[1])
    memory = Positions(folder, Choice.STORY)
    teller = Teller(MpvPlayer(), [Library(folder / "media")], ignore, memory)
    written = memory.beat

    async def tell(track, at, length):
        await written(track, at, length)
        print(at, flush=True)

    memory.beat = tell
    running = asyncio.create_task(teller.run())
    await teller.order(sys.argv[2])
    await running

asyncio.run(main())
"""


@pytest.mark.parametrize("order", ["b", "media"])
async def test_the_story_goes_on_where_it_was_written_last(
    tmp_path: Path, pulse_server: str, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    monkeypatch.setenv("PULSE_SERVER", pulse_server)
    for title in ("a", "b"):
        write_tone(tmp_path / "media" / f"{title}.wav", seconds=30)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PLAYING, str(tmp_path), order, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    last = 0.0
    async with asyncio.timeout(DEADLINE):
        while last < BACK_SECONDS + 1.0:
            last = float(await process.stdout.readline())
        process.kill()
        rest = (await process.stdout.read()).split()
        await process.wait()
    last = float(rest[-1]) if rest else last

    async def ignore(_title: str) -> None:
        return

    player = MpvPlayer()
    memory = Positions(tmp_path, Choice.STORY)
    teller = Teller(player, [Library(tmp_path / "media")], ignore, memory)
    await teller.order("继续")
    assert teller.title == ("b" if order == "b" else "a")
    heard = await memory.left_at(teller.deck.track) if teller.deck.track else 0.0
    assert heard >= last - BACK_SECONDS - 0.01
    at = await player.position()
    assert at is not None
    assert at >= last - BACK_SECONDS - 0.1
    await until_position(player, at + 0.3)
    await teller.close()
