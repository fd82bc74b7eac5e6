"""Puts the parts of the loudness together, with their files in the state folder."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from machine.level import KeptLevel
from machine.measure import Measured, measure
from machine.mpv_program import find_program
from resources.loudness.gain_index import GainIndex
from resources.loudness.loudness import Loudness, LoudnessParts
from resources.loudness.measurer import Measurer
from resources.playing.teller import Teller
from resources.record import Record
from resources.titles.library import Library


def build_loudness(
    level: KeptLevel,
    state: Path,
    local_time: Callable[[], datetime | None],
    report: Callable[[int], Awaitable[None]],
) -> Loudness:
    """Return the volume, to be opened; the arguments are those of `LoudnessParts`."""
    record = Record(state / "loudness.json")
    return Loudness(LoudnessParts(level, record, local_time, report))


def build_measurer(library: Library, teller: Teller, state: Path) -> Measurer:
    """Return what measures the titles of ``library``, and let ``teller`` play them equally loud."""
    measurer = Measurer(
        GainIndex(state / "loudness.sqlite"), library.tracks, _measure, lambda: teller.playing
    )
    teller.deck.gain_for = measurer.gain_for
    return measurer


async def _measure(source: str) -> Measured:
    return await measure(source, find_program())
