"""How long a body of the local API may take, on a moved clock; a test sets no deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.local.http import read_body
from tests.moved_clock import Since, on_moved_clock
from wire.codes import Code
from wire.exchange import Answer


class Trickle:
    """A body of which a byte comes now and then."""

    def __init__(self, pause: float) -> None:
        self._pause = pause

    async def stream(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(self._pause)
            yield b"x"


@pytest.mark.parametrize(("pause", "seconds"), [(9.0, 120.0), (11.0, 10.0)])
def test_a_body_is_read_for_two_minutes_and_through_no_pause_of_ten_seconds(
    pause: float, seconds: float
) -> None:
    @on_moved_clock
    async def run() -> None:
        since, request = Since(), Trickle(pause)
        body: Any = request
        answer = await read_body(body, 1000)
        assert answer == Answer(Code.BAD_REQUEST, b"body: it stopped coming")
        assert since.seconds == pytest.approx(seconds, abs=0.1)

    run()
