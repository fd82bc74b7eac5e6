"""The data points that an installed product adds in a group of entry points."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from resources.datapoint import DataPoint

GROUP = "story_agent.resources"
# What pip and setuptools install beside a package (PyPA, "Entry points specification").
_FILES = ("*.dist-info/entry_points.txt", "*.egg-info/entry_points.txt")

_log = logging.getLogger(__name__)


def product_points() -> list[DataPoint]:
    """Create the data points of installed products; one that fails is logged and skipped."""
    if not is_offered(sys.path):
        return []
    import importlib.metadata  # noqa: PLC0415  # every start would pay for it, and hardly a machine needs it

    points: list[DataPoint] = []
    for entry in importlib.metadata.entry_points(group=GROUP):
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


def is_offered(folders: Iterable[str]) -> bool:
    """Return whether a distribution in ``folders`` has the group; one that cannot be read may have it."""
    return any(_mentions(Path(folder or ".")) for folder in folders)


def _mentions(folder: Path) -> bool:
    if folder.is_file():  # an archive, which only importlib.metadata can look into
        return folder.name.endswith((".whl", ".egg"))
    try:
        return any(
            GROUP.encode() in path.read_bytes() for each in _FILES for path in folder.glob(each)
        )
    except OSError:
        return True
