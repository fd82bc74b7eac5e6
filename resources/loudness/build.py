"""Puts the parts of the loudness together, with their files in the state folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from machine.level import KeptLevel
from machine.mpv_program import find_program
from resources.loudness.loudness import Loudness, LoudnessParts
from resources.playing.queue import Track
from resources.playing.teller import Teller
from resources.record import Record
from resources.titles.library import Library

if TYPE_CHECKING:
    from resources.loudness.measurer import Measurer

# The start of the agent and what a child orders first go before the measuring.
FIRST_SECONDS = 30.0


def build_loudness(
    level: KeptLevel,
    state: Path,
    local_time: Callable[[], datetime | None],
    report: Callable[[int], Awaitable[None]],
) -> Loudness:
    """Return the volume, to be opened; the arguments are those of `LoudnessParts`."""
    record = Record(state / "loudness.json")
    return Loudness(LoudnessParts(level, record, local_time, report))


class Titles:
    """The titles' loudness; what measures it is imported when the first title plays, or later."""

    def __init__(self, library: Library, teller: Teller, state: Path, loudness: Loudness) -> None:
        """Measure the titles of ``library``, and let ``teller`` play them equally loud.

        Where no mixer can be set, as with a card without a control, they keep the limit of ``loudness``.
        """
        self._loudness = loudness
        self._library = library
        self._teller = teller
        self._state = state
        self._measurer: Measurer | None = None
        teller.deck.gain_for = self.gain_for

    async def gain_for(self, track: Track) -> float:
        """Return the gain of ``track`` in dB."""
        return await self._made().gain_for(track) + self._loudness.substitute_gain

    async def run(self) -> None:
        """Measure while the machine is idle, until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        await self._made().run()

    async def close(self) -> None:
        """Close the index."""
        if self._measurer is not None:
            await self._measurer.close()

    def _made(self) -> Measurer:
        if self._measurer is None:
            self._measurer = _make_measurer(self._library, self._teller, self._state)
        return self._measurer


def _make_measurer(library: Library, teller: Teller, state: Path) -> Measurer:
    # Not before the agent has started (the class above).
    from machine.measure import measure  # noqa: PLC0415
    from resources.loudness.gain_index import GainIndex  # noqa: PLC0415
    from resources.loudness.measurer import Measurer  # noqa: PLC0415

    return Measurer(
        GainIndex(state / "loudness.sqlite"),
        library.tracks,
        lambda source: measure(source, find_program()),
        lambda: teller.playing,
    )
