"""The data points that installed packages add, each kept from harming the others (docs/adding-a-data-point.md).

A package names, in the group `GROUP` of entry points, what is called without arguments and gives a
`resources.datapoint.DataPoint`. One that cannot be used is left out, and is told in log, ``status`` and doctor.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from resources.datapoint import DataPoint
from wire.records import dataclass

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "story_agent.resources"
# Before the entry point's name, among the faults in ``status``.
LEFT_OUT = "data point "
# What pip and setuptools install beside a package (PyPA, "Entry points specification").
_FILES = ("*.dist-info/entry_points.txt", "*.egg-info/entry_points.txt")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Added:
    """The data points of packages, and why others are left out, by the entry point's name."""

    points: list[DataPoint] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


def product_points(taken: Collection[str] = ()) -> Added:
    """Create the data points of installed packages; ``taken`` are the names that a package may not have."""
    if not is_offered(sys.path):
        return Added()
    added = Added()
    entries = list(_find_entries(added))
    return add_all(entries, taken, added)


def _find_entries(added: Added) -> Iterator[EntryPoint]:
    """Yield the entries of all distributions; of one whose files are damaged, a fault is noted."""
    from importlib.metadata import distributions  # noqa: PLC0415  # every start would pay for it

    seen = set()
    for found in distributions():
        name = "a distribution without a name"
        try:
            name = found.name or name
            if name in seen:  # a later folder's, which the first one hides
                continue
            seen.add(name)
            yield from found.entry_points.select(group=GROUP)
        except Exception as error:  # noqa: BLE001  # whatever its files are, the machine plays
            added.faults[name] = f"its entry points cannot be read: {error or type(error).__name__}"
            _log.error("package %s is left out: %s", name, error)


def add_all(
    entries: Iterable[EntryPoint], taken: Collection[str], added: Added | None = None
) -> Added:
    """Create a data point for each entry; those that cannot be used become faults."""
    # Only a machine with such a package pays for what guards it.
    from agent.guarded_point import GuardedPoint, check_description  # noqa: PLC0415

    added = added or Added()
    for entry in sorted(entries, key=lambda each: each.name):
        names = {*taken, *(point.description.name for point in added.points)}
        try:
            point = entry.load()()
            if not isinstance(point, DataPoint):
                raise TypeError("it gives no resources.datapoint.DataPoint")
            check_description(point.description, names)
            added.points.append(GuardedPoint(point))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a package does, the machine plays
            added.faults[entry.name] = f"{error or type(error).__name__}"
            _log.error(
                "data point %s of a package is left out: %s", entry.name, error, exc_info=error
            )
    return added


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
