"""Builds the machine's data points with their back ends."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.settings import Settings
from machine.battery import find_battery
from machine.errors import UnavailableError
from machine.level import KeptLevel
from machine.logind import LogindPowerOff, StandInPowerOff
from machine.player import find_player
from resources.datapoint import DataPoint
from resources.playing.teller import Teller
from resources.points.play import PlayPoint
from resources.points.power import PowerPoint
from resources.points.switch import SwitchPoint
from resources.points.volume import VolumePoint
from resources.titles.library import Library
from wire.datapoints import Value

# Other products add their own data points in this group of entry points.
ENTRY_POINTS = "story_agent.resources"

_log = logging.getLogger(__name__)

ChangeListener = Callable[[str, Value], Awaitable[None]]


async def build_points(
    settings: Settings, state: Path, on_change: ChangeListener
) -> list[DataPoint]:
    """Return the open API's data points, in the order of its example, then the product's own."""

    async def title_changed(title: str) -> None:
        await on_change("play", title)

    library = Library(state / settings.play.media_folder)
    level = KeptLevel()
    await _find_level(level)
    return [
        PlayPoint(Teller(find_player(level, state / "player"), [library], title_changed)),
        VolumePoint(level),
        SwitchPoint(LogindPowerOff() if settings.switch.armed else StandInPowerOff()),
        PowerPoint(find_battery()),
        *_product_points(),
    ]


async def _find_level(level: KeptLevel) -> None:
    """Find the mixer for the log; one that fails is looked for again at each use."""
    try:
        await level.restore()
    except UnavailableError as error:
        _log.warning("volume: %s", error)


def _product_points() -> list[DataPoint]:
    """Create the data points of installed products; one that fails is logged and skipped."""
    points: list[DataPoint] = []
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            point = entry.load()()
        except Exception:  # noqa: BLE001  # it must not stop the other points
            _log.exception("data point %s cannot be loaded", entry.name)
            continue
        if isinstance(point, DataPoint):
            points.append(point)
        else:
            _log.error("data point %s is no resources.datapoint.DataPoint", entry.name)
    return points
