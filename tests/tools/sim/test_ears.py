"""The simulated microphone: a wake word is in the block in which it was said."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tools.sim.test_loop import loop
from tools.sim.board import Sounds
from tools.sim.ears import WORD, SimRecording
from tools.sim.loop import SimLoop

__all__ = ["loop"]


@pytest.mark.parametrize("later", [0.0, 0.005, 0.3])
def test_a_word_is_heard_whoever_reads_its_block_late(loop: SimLoop, later: float) -> None:
    of: Any = SimpleNamespace(sounds=Sounds(random.Random(1)), recordings=set(), agent=None)
    blocks: list[bool] = []

    async def work() -> None:
        recording = SimRecording(of)
        blocks.append(await recording.block() == WORD)
        of.sounds.word_at = loop.time() + 1e-9
        await asyncio.sleep(later)
        blocks.extend([await recording.block() == WORD for _ in range(2)])

    loop.run_until_complete(work())
    assert blocks == [False, True, False]


def test_a_word_that_was_said_before_the_microphone_was_open_is_not_heard(loop: SimLoop) -> None:
    of: Any = SimpleNamespace(sounds=Sounds(random.Random(1)), recordings=set(), agent=None)

    async def work() -> bool:
        of.sounds.word_at = loop.time() + 0.01
        await asyncio.sleep(0.02)
        return await SimRecording(of).block() == WORD

    assert not loop.run_until_complete(work())
