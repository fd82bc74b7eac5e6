"""The simulated player: a knob or a device that comes and goes takes nothing of what has sounded."""

from __future__ import annotations

import asyncio
import random

from tests.tools.sim.test_loop import loop
from tools.sim.board import SimPlayer, Sounds
from tools.sim.loop import SimLoop

__all__ = ["loop"]


def test_a_place_moves_while_the_title_sounds_and_only_then(loop: SimLoop) -> None:
    sounds = Sounds(random.Random(1))
    sounds.lengths["a.mp3"] = 600.0
    places: list[float | None] = []

    async def work() -> None:
        player = SimPlayer(sounds, None)
        await player.play("a.mp3", lambda _reason: None)
        await asyncio.sleep(10)
        sounds.turn(0.3)
        await asyncio.sleep(5)
        places.append(await player.position())
        sounds.plug(there=False)
        await asyncio.sleep(100)
        sounds.turn(0.6)
        await asyncio.sleep(100)
        sounds.plug(there=True)
        await asyncio.sleep(5)
        places.append(await player.position())
        await player.pause(paused=True)
        await asyncio.sleep(50)
        sounds.turn(0.2)
        places.append(await player.position())
        await player.stop()

    loop.run_until_complete(work())
    assert [round(place or 0.0) for place in places] == [15, 20, 20]
